import type { BlockHome, BlockPlace, Log } from '../../registry/ports.ts'
import type { CorruptBlock } from '../block-source.ts'
import type { IpfsInit } from '../ipfs.ts'
import type { IpfsSetting } from '../setting-error.ts'

export type ThreadData = IpfsInit

export const homesAtOnce = 2

/** What the thread has to know from the one that holds the index. */
export type Question =
  /** Homes of a block that anonymous may read, at most {@link homesAtOnce}, behind those told already. */
  | { kind: 'homes'; multihash: Uint8Array; skip: number }
  | { kind: 'node'; multihash: Uint8Array }
  | { kind: 'path'; home: BlockHome }
  | { kind: 'range'; home: BlockHome; offset: number; length: number }

/** The answer to each kind. */
export interface Answers {
  homes: { home: BlockHome; place: BlockPlace }[]
  node: Uint8Array | undefined
  path: string | undefined
  range: Uint8Array | undefined
}

/** Addresses and connections at this moment. */
export interface PeerState {
  multiaddrs: string[]
  peers: string[]
}

/** An error on its way to the other thread, which an `Error` does not survive whole. */
export interface SentError {
  message: string
  stack?: string | undefined
  setting?: IpfsSetting | undefined
  /** What the system said, where it is the cause: it names the file. */
  cause?: string | undefined
}

export type FromThread =
  | { type: 'ready'; peerId: string; state: PeerState }
  | { type: 'failed'; error: SentError }
  | { type: 'state'; state: PeerState }
  | { type: 'log'; level: keyof Log; fields: object; message: string }
  | { type: 'corrupt'; corrupt: CorruptBlock }
  | { type: 'ask'; id: number; question: Question }

export type ToThread =
  | { type: 'answer'; id: number; value: Answers[keyof Answers] }
  | { type: 'error'; id: number; error: SentError }
  | { type: 'announce'; cid: Uint8Array }
  | { type: 'stop' }
