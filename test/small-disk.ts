import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { mkdtemp, open, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'

const MiB = 1 << 20

/** A file system of its own that is soon full. */
export interface SmallDisk {
  /** Where it is mounted. */
  readonly path: string
  /** Takes what is left, less `spare` bytes. */
  fill(spare?: number): Promise<void>
  /** Gives back what {@link fill} took. */
  empty(): Promise<void>
  close(): Promise<void>
}

/** Mounts a tmpfs of `size` bytes. */
export async function mountSmallDisk(size: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'pinnace-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  const filler = join(path, 'filler')
  return {
    path,
    fill: (spare = 0) => fill(filler, spare),
    empty: () => rm(filler, { force: true }),
    close: async () => {
      execFileSync('umount', [path])
      await rmdir(path)
    }
  }
}

async function fill(filler: string, spare: number): Promise<void> {
  const file = await open(filler, 'a')
  const block = Buffer.alloc(MiB)
  try {
    for (;;) await file.write(block)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    await file.truncate(Math.max(0, (await file.stat()).size - spare))
  } finally {
    await file.close()
  }
}

/** Whether this process may mount; what tells is trying. */
function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const point = mkdtempSync(join(tmpdir(), 'pinnace-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', point], { stdio: 'ignore' })
    execFileSync('umount', [point], { stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    rmdirSync(point)
  }
}

/** Tests that need {@link mountSmallDisk}: a visible skip where that cannot be, a failure where everything must run. */
export function describeWithSmallDisk(title: string, tests: () => void): void {
  const able = mayMount()
  const required = process.env.PINNACE_REQUIRE_INTEROP === '1'
  describe.skipIf(!able && !required)(able ? title : `${title} (needs a tmpfs: run as root on Linux)`, tests)
}
