import { open } from 'node:fs/promises'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { Terminal } from './terminal.ts'

/** Bytes; keys, tokens and passwords are far shorter, and `/dev/zero` is longer. */
const most = 64 * 1024

/**
 * The whole of a small file that holds a secret; `-` is standard input.
 *
 * @throws {CommandFailure} `usage` when it is larger than any secret
 */
export async function readSecret(file: string, terminal: Terminal): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of file === '-' ? terminal.in : chunksOf(file)) {
    const bytes = Buffer.from(part)
    parts.push(bytes)
    length += bytes.length
    if (length > most) {
      throw new CommandFailure(exitCodes.usage, `${shown(file)} is larger than 64 KiB, so it is not what was meant`)
    }
  }
  return Buffer.concat(parts)
}

async function* chunksOf(file: string): AsyncGenerator<Buffer> {
  const handle = await open(file)
  try {
    yield* handle.createReadStream({ autoClose: false })
  } finally {
    await handle.close()
  }
}

function shown(file: string): string {
  return file === '-' ? 'standard input' : file
}
