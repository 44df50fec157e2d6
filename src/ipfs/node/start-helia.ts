import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BitswapOptions, withBitswap } from '@helia/bitswap'
import { type HeliaWithLibp2p, withLibp2pLight } from '@helia/libp2p'
import { type Identify, identify } from '@libp2p/identify'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { LevelDatastore } from 'datastore-level'
import { createHeliaLight } from 'helia'
import type { Libp2pOptions } from 'libp2p'
import { BitswapServer } from '../bitswap/server.ts'
import { BlobBlockstore } from '../blockstore.ts'
import type { Ipfs, IpfsComponents, IpfsInit } from '../ipfs.ts'
import { findBlock, readBlock } from '../read-block.ts'
import { IpfsSettingError } from '../setting-error.ts'
import { forgetStrangers } from './forget-strangers.ts'
import { loadKey } from './key.ts'
import { checked, listenAddresses } from './listen.ts'
import { type ConfiguredPeer, parsePeers, stayConnected } from './stay-connected.ts'

/** Helia's bitswap fetches; {@link BitswapServer} serves. */
const bitswapOptions: BitswapOptions & { maxWantListSize: number } = {
  // Helia resets a peer's stream after so many ms of silence, and Kubo then never asks again. The longest a timer can be.
  messageReceiveTimeout: 2 ** 31 - 1,
  // ms for a whole message on a slow link.
  messageSendTimeout: 5 * 60_000,
  // Keeps no wants of peers, so sends no blocks. Documented under the first name, read under the second (4.0.19).
  maxWantlistSize: 0,
  maxWantListSize: 0
}

interface Services extends Record<string, unknown> {
  identify: Identify
  /** Not a service of libp2p's, but the way to its list of protocol handlers. */
  registrar: Registrar
}

interface Addresses {
  listen: string[]
  announce: string[]
}

function libp2pOptions(privateKey: Ed25519PrivateKey, addresses: Addresses): Libp2pOptions<Services> {
  return {
    privateKey,
    // What every stranger is told. By default it is the versions of Helia, libp2p and Node, to look their faults up by.
    nodeInfo: { userAgent: 'pinnace' },
    addresses,
    transports: [tcp()],
    // TLS is native, noise is JavaScript: first what costs less.
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [yamux()],
    // A ping waits behind the blocks on a slow link; a peer is dead after a minute, not after five seconds.
    connectionMonitor: { pingTimeout: { minTimeout: 60_000 } },
    services: { identify: identify(), registrar: ({ registrar }) => registrar }
  }
}

/** What Helia's thread needs beyond {@link IpfsComponents}. */
export interface HeliaComponents extends IpfsComponents {
  /** Addresses or connections have changed. */
  onChange?(ipfs: Ipfs): void
}

/** Starts Helia in this thread; {@link startIpfs} says what it does. */
export async function startHelia(components: HeliaComponents, init: IpfsInit): Promise<Ipfs> {
  const peers = parsePeers(init.peers ?? [])
  const addresses = {
    announce: checked('ipfs.announce', init.announce ?? []),
    listen: await listenAddresses(init.listen)
  }
  await mkdir(init.folder, { recursive: true, mode: 0o700 })
  const privateKey = await loadKey(init.keyFile ?? join(init.folder, 'key'), components.log)
  // A database of its own: what libp2p and Helia remember may be lost or wiped without harm, and must not share commits
  // or a schema version with the registry's metadata, which may not.
  const datastore = new LevelDatastore(join(init.folder, 'datastore'))
  await datastore.open()
  const libp2p = libp2pOptions(privateKey, addresses)
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight({ blockstore: new BlobBlockstore(components), datastore }), libp2p),
    bitswapOptions
  )
  try {
    await helia.start()
    return await serve(helia, datastore, components, peers)
  } catch (cause) {
    await Promise.allSettled([helia.stop()])
    await datastore.close()
    throw isListenFailure(cause) ? new IpfsSettingError('ipfs.listen', cause.message, { cause }) : cause
  }
}

async function serve(
  helia: HeliaWithLibp2p<Services>,
  datastore: LevelDatastore,
  components: HeliaComponents,
  peers: readonly ConfiguredPeer[]
): Promise<Ipfs> {
  const { libp2p } = helia
  const { log, source } = components
  const server = new BitswapServer({
    libp2p,
    registrar: libp2p.services.registrar,
    log,
    blocks: {
      find: (cid, options) => findBlock(source, cid, options),
      read: (cid, options) => readBlock(components, cid, options)
    }
  })
  await server.start()
  const stopping = new AbortController()
  const keeping = stayConnected(libp2p, peers, log, stopping.signal)
  forgetStrangers(libp2p, peers, log, stopping.signal)
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    stopping.abort()
    server.stop()
    await keeping
    await helia.stop()
    await datastore.close()
  }
  const ipfs: Ipfs = {
    peerId: libp2p.peerId.toString(),
    multiaddrs: () => libp2p.getMultiaddrs().map(address => address.toString()),
    peers: () => libp2p.getPeers().map(peer => peer.toString()),
    announce: root => server.announce(root),
    stop: () => (stopped ??= stop())
  }
  for (const event of ['self:peer:update', 'peer:connect', 'peer:disconnect'] as const) {
    libp2p.addEventListener(event, () => components.onChange?.(ipfs))
  }
  return ipfs
}

function isListenFailure(error: unknown): error is Error {
  return error instanceof Error && error.name === 'UnsupportedListenAddressesError'
}
