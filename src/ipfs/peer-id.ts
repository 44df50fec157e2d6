import { join } from 'node:path'
import type { Log } from '../registry/ports.ts'

/**
 * Who a node is, without starting it; its key is made if it never was started.
 *
 * @param folder as {@link IpfsInit.folder}
 * @throws {IpfsSettingError} `ipfs.key.file`
 */
export async function readPeerId(folder: string, keyFile: string | undefined, log: Log): Promise<string> {
  const [{ loadKey }, { peerIdFromPrivateKey }] = await Promise.all([
    import('./node/key.ts'),
    import('@libp2p/peer-id')
  ])
  return peerIdFromPrivateKey(await loadKey(keyFile ?? join(folder, 'key'), log)).toString()
}
