import type { DigestAlgorithm } from '../oci/digest.ts'
import type { StagedContent } from '../registry/ports.ts'

/** The first bytes of a stream that a file has already. */
export interface HashPrefix {
  path: string
  /** Bytes. */
  length: number
  /** Bytes after which the stream is marked; 0: at its start. */
  mark: number
}

/** What the main thread asks of a hash worker. Messages of one worker are answered in order, reads beside them. */
export type HashRequest =
  /** A new running hash; `prefix` is content that is on disk already and goes first. */
  | { type: 'open'; stream: number; algorithm: DigestAlgorithm; prefix: HashPrefix | undefined }
  | { type: 'update'; stream: number; slot: number; length: number }
  /** Remembers how far the stream is. */
  | { type: 'mark'; stream: number }
  /** Goes back to the last mark, the start when there is none. */
  | { type: 'rewind'; stream: number }
  /** The content so far; the stream stays open. */
  | { type: 'content'; request: number; stream: number }
  | { type: 'drop'; stream: number }
  /** Hashes the first `size` bytes of a file in slices, so that streams go on beside it. */
  | { type: 'read'; request: number; path: string; size: number; algorithm: DigestAlgorithm }
  | { type: 'cancel'; request: number }

export type HashReply =
  /** The slot of the oldest `update` not answered yet is no longer looked at. */
  | { type: 'updated' }
  /** `undefined` when the stream was lost to a failed prefix. */
  | { type: 'content'; request: number; content: StagedContent | undefined }
  | { type: 'failed'; request: number; error: { message: string; code: string | undefined } }

export interface HashWorkerData {
  ring: SharedArrayBuffer
}
