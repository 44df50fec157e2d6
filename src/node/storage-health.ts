import type { Health } from '../http/health.ts'
import type { BlobFiles, Log } from '../registry/ports.ts'
import { repeat } from './repeat.ts'

export interface StorageHealthInit {
  /** ms between two checks. */
  interval: number
  /** Failures in a row that make the node not ready; 0 is read as 1. */
  threshold: number
}

/** distribution's `health.storagedriver`: a small write, read and removal in the data folder. */
export function watchStorage(
  files: Pick<BlobFiles, 'probe'>,
  log: Log,
  init: StorageHealthInit
): Health & { close(): Promise<void> } {
  let inRow = 0
  let why = ''
  const check = async (signal: AbortSignal) => {
    try {
      await files.probe({ signal })
      if (inRow >= Math.max(1, init.threshold)) log.info({}, 'the data folder can be written again')
      inRow = 0
    } catch (error) {
      if (signal.aborted) return
      inRow++
      // The path is the operator's business, not every prober's.
      why =
        error instanceof Error && 'code' in error ? `data folder: ${String(error.code)}` : 'data folder: check failed'
      log.warn({ err: error, inRow }, 'the data folder failed its check')
    }
  }
  const stop = repeat(init.interval, check)
  return {
    failures: () => (inRow >= Math.max(1, init.threshold) ? { storagedriver: why } : {}),
    close: stop
  }
}
