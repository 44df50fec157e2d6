import { readFile, rm } from 'node:fs/promises'
import { runTool } from './run.ts'

/**
 * Removes a folder in which a daemon may have left mounts (network namespaces, snapshots): these are detached first,
 * the deepest first, or the removal would fail or, worse, reach through them.
 */
export async function removeWithMounts(folder: string): Promise<void> {
  const points = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .filter(point => point.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)
  for (const point of points) await runTool('umount', ['--lazy', point])
  await rm(folder, { recursive: true, force: true })
}
