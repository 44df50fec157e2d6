import { open, rm } from 'node:fs/promises'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'

/**
 * Writes a secret to a new file that only its owner may read, synced.
 *
 * @throws {CommandFailure} when there is something of that name: nothing is overwritten
 */
export async function writeSecret(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx', 0o600).catch((cause: unknown) => {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
    throw new CommandFailure(exitCodes.failure, `${file} is there already: move it away, or write elsewhere with --out`)
  })
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}
