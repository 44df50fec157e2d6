import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** ms after which nobody is still writing 68 bytes, whatever process has the number by now. */
const old = 60_000
/** Its process, and when it began, ms since epoch by the clock of that process: the file system's may be another. */
const named = /^\.key-(\d+)-(\d+)$/

/** Where a key is written before it takes its place, in the same folder. */
export function draftIn(folder: string): string {
  return join(folder, `.key-${process.pid}-${Date.now()}`)
}

/**
 * Removes the drafts of processes that died while they wrote: each is a key that nobody knows to be there. What cannot be
 * removed, in a folder that others mounted, stays.
 */
export async function removeStaleDrafts(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid, at] = named.exec(name) ?? []
    if (pid === undefined) continue
    const isOld = Date.now() - Number(at) > old
    if (isOld || !isRunning(Number(pid))) await rm(join(folder, name), { force: true }).catch(() => {})
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
