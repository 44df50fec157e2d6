import { open } from 'node:fs/promises'
import type { AbortOptions } from '../registry/ports.ts'

/**
 * Fills `buffer` from a staged file at `offset`, as far as the file goes; resolves with the bytes read. The file is opened
 * for each read: it is renamed or removed behind its readers' backs, and however slow they are they hold no descriptor.
 */
export async function readStaged(
  path: string,
  buffer: Uint8Array,
  offset: number,
  options: AbortOptions = {}
): Promise<number> {
  options.signal?.throwIfAborted()
  const handle = await open(path, 'r')
  try {
    let filled = 0
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    options.signal?.throwIfAborted()
    return filled
  } finally {
    await handle.close()
  }
}
