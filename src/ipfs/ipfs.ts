import type { CID } from 'multiformats/cid'
import type { Log } from '../registry/ports.ts'
import type { BlockSource, CorruptBlock } from './block-source.ts'
import { startThread } from './thread/start-thread.ts'

/** The IPFS side of the node, as the rest sees it; narrow, because it lives in another thread. */
export interface Ipfs {
  /** Base58 of an ed25519 key, `12D3Koo…`; the same at every start on the same data. */
  readonly peerId: string
  /** Where peers can dial this node, each ending in `/p2p/<peer ID>`. */
  multiaddrs(): string[]
  /** Peer IDs connected now. */
  peers(): string[]
  /** Tells peers that asked for this block before it was here: a blob's root, an image CID. Costs nothing if none did. */
  announce(root: CID): void
  /** Closes connections and listeners and the datastore. Idempotent. */
  stop(): Promise<void>
}

export interface IpfsComponents {
  source: BlockSource
  log: Log
  /** Told of bytes that no longer hash to their block, which was refused. Must not throw. */
  onCorrupt(corrupt: CorruptBlock): void
}

export interface IpfsInit {
  /** Folder of this module's own state, made if missing: the key, and the datastore of libp2p and Helia. */
  folder: string
  /** Multiaddrs (`ipfs.listen`). Default `/ip4/127.0.0.1/tcp/4001`, or any port where that one is taken. */
  listen?: readonly string[]
  /** Multiaddrs told to peers instead of those listened on (`ipfs.announce`). Default none. */
  announce?: readonly string[]
  /** Multiaddrs with `/p2p/<peer ID>` to dial and stay connected to (`ipfs.peers`). Default none. */
  peers?: readonly string[]
  /** The private key (`ipfs.key.file`), made if missing. Default `key` in `folder`. */
  keyFile?: string
}

/**
 * Starts Helia, in a thread of its own. It dials nobody but `peers`, announces nothing, asks no gateway, and serves by
 * bitswap what `source` lets it. HTTP can answer meanwhile: none of its modules is loaded in the thread that calls.
 *
 * @throws {IpfsSettingError} naming the key of the configuration; nothing is left running
 */
export async function startIpfs(components: IpfsComponents, init: IpfsInit): Promise<Ipfs> {
  return await startThread(components, init)
}
