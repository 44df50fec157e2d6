import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Log } from '../registry/ports.ts'

/** The peer ID of a node that is not running, from its key; the key is made if this is its first command. */
export async function readPeerId(dataFolder: string, config: Config, log: Log): Promise<string> {
  const [{ loadKey }, { peerIdFromPrivateKey }, { ipfsFolder }] = await Promise.all([
    import('../ipfs/node/key.ts'),
    import('@libp2p/peer-id'),
    import('../node/start-peer.ts')
  ])
  const key = await loadKey(config.ipfs.key.file ?? join(ipfsFolder(dataFolder), 'key'), log)
  return peerIdFromPrivateKey(key).toString()
}
