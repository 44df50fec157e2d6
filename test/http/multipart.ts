export interface Part {
  headers: Record<string, string>
  body: Buffer
}

/** Takes a `multipart/byteranges` body apart (RFC 2046, section 5.1.1), and refuses what it does not end as it should. */
export function parseMultipart(contentType: string | undefined, body: Buffer): Part[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9A-Za-z]{20,70})$/.exec(contentType ?? '')?.[1]
  if (boundary === undefined) throw new Error(`no multipart/byteranges: ${contentType}`)
  const whole = Buffer.concat([Buffer.from('\r\n'), body])
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const parts: Part[] = []
  let at = whole.indexOf(delimiter)
  if (at !== 0) throw new Error('something before the first part')
  for (;;) {
    const start = at + delimiter.length
    if (whole.subarray(start).toString('latin1') === '--\r\n') return parts
    if (whole.subarray(start, start + 2).toString('latin1') !== '\r\n')
      throw new Error('a boundary with something behind')
    const head = whole.indexOf('\r\n\r\n', start)
    at = whole.indexOf(delimiter, start)
    if (head < 0 || at < head) throw new Error('a part without an end')
    const lines = whole
      .subarray(start + 2, head)
      .toString('latin1')
      .split('\r\n')
    const headers = Object.fromEntries(
      lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])
    )
    parts.push({ headers, body: whole.subarray(head + 4, at) })
  }
}
