import { join } from 'node:path'
import type { Config } from '../config.ts'
import { type Ipfs, startIpfs } from '../ipfs/ipfs.ts'
import { createLevelFolder } from '../metadata/create-folder.ts'
import type { Identity, OpenNode } from '../node.ts'
import type { BlockHome, Log } from '../registry/ports.ts'
import { ipfsListenError } from './listen-error.ts'

/** The IPFS side while it starts and after. */
export interface StartingPeer {
  identity(): Promise<Identity>
  close(): Promise<void>
}

/** Starts libp2p and Helia behind the registry's back: loading them takes longer than all the rest. */
export function startPeer(node: OpenNode, config: Config, log: Log): StartingPeer {
  const starting = start(node, config, log).catch((error: unknown) => {
    throw ipfsListenError(error)
  })
  // Whoever asks for the identity is told; until then a failure must not end the process.
  starting.catch(() => undefined)
  return {
    identity: async () => {
      const ipfs = await starting
      return { peerId: ipfs.peerId, multiaddrs: ipfs.multiaddrs() }
    },
    close: async () => {
      const ipfs = await starting.catch(() => undefined)
      await ipfs?.stop()
    }
  }
}

async function start(node: OpenNode, config: Config, log: Log): Promise<Ipfs> {
  await createLevelFolder(join(ipfsFolder(node.folder), 'datastore'))
  const { listen, announce, peers, key } = config.ipfs
  const components = {
    source: node.blocks,
    log,
    onCorrupt: (corrupt: { home: BlockHome }) => node.reportCorrupt(corrupt.home)
  }
  const ipfs = await startIpfs(components, {
    folder: ipfsFolder(node.folder),
    announce,
    peers,
    ...(listen === undefined ? {} : { listen }),
    ...(key.file === undefined ? {} : { keyFile: key.file })
  })
  node.onStored(root => ipfs.announce(root))
  return ipfs
}

/** State of libp2p and Helia, and the key when `ipfs.key.file` names none. */
export function ipfsFolder(dataFolder: string): string {
  return join(dataFolder, 'ipfs')
}
