/**
 * Names of empty files that make a UnixFS directory block of exactly so many bytes: 4 of UnixFS data, and for each link
 * 2 around it, 38 for the CID, 2 for `Tsize` 0, 2 before the name, and the name.
 */
export function namesForBlockOf(bytes: number): string[] {
  const names: string[] = []
  for (let left = bytes - 4; left > 0; ) {
    const length = left >= 124 ? 20 : left - 44
    names.push(`${names.length}-`.padEnd(length, 'n'))
    left -= 44 + length
  }
  return names
}
