import { readFile } from 'node:fs/promises'

/** Of Linux on every machine that Node runs on: what `getconf CLK_TCK` prints. */
const ticksPerSecond = 100

/** Processor seconds of a process and its threads so far; `undefined` where the system does not tell. */
export async function cpuSecondsOf(pid: number | undefined): Promise<number | undefined> {
  if (pid === undefined) return undefined
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name, in parentheses, may contain anything; user and system time are the 12th and 13th field after it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Resident memory in MB (10^6), and the part of it that is no file's cache. */
export async function memoryOf(pid: number): Promise<{ rss: number; anonymous: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => undefined)
  if (status === undefined) return undefined
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  const megabytes = (value: number): number => (value * 1024) / 1e6
  return { rss: megabytes(kilobytes('VmRSS')), anonymous: megabytes(kilobytes('RssAnon')) }
}
