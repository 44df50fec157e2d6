import { setTimeout as delay } from 'node:timers/promises'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Log } from '../../registry/ports.ts'
import { IpfsSettingError } from '../setting-error.ts'

/** ms between two attempts: doubled from the first to the last. */
const firstDelay = 1_000
const lastDelay = 5 * 60_000

export interface ConfiguredPeer {
  id: PeerId
  address: Multiaddr
}

/**
 * @throws {IpfsSettingError} `ipfs.peers`: not a multiaddr, or one that does not say whom to expect there
 */
export function parsePeers(addresses: readonly string[]): ConfiguredPeer[] {
  return addresses.map(text => {
    try {
      const address = multiaddr(text)
      const id = address.getComponents().findLast(component => component.name === 'p2p')?.value
      if (id === undefined) throw new Error('it has no peer ID')
      return { id: peerIdFromString(id), address }
    } catch (cause) {
      const wanted = 'a multiaddr that ends in /p2p/<peer ID>'
      throw new IpfsSettingError('ipfs.peers', `"${text}" is not ${wanted}`, { cause })
    }
  })
}

/**
 * Dials the peers and dials again whenever one is gone, ever more slowly while it stays away. Ends with the signal.
 */
export async function stayConnected(
  libp2p: Libp2p,
  peers: readonly ConfiguredPeer[],
  log: Log,
  signal: AbortSignal
): Promise<void> {
  await Promise.all(peers.map(peer => stayConnectedTo(libp2p, peer, log, signal)))
}

async function stayConnectedTo(libp2p: Libp2p, peer: ConfiguredPeer, log: Log, signal: AbortSignal): Promise<void> {
  let wait = firstDelay
  while (!signal.aborted) {
    try {
      if (libp2p.getConnections(peer.id).length === 0) await libp2p.dial(peer.address, { signal })
      wait = firstDelay
      await disconnected(libp2p, peer.id, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ peer: peer.address.toString(), err: error, retryInMs: wait }, 'cannot connect to a peer of ipfs.peers')
    }
    // Half of it by chance, so that members of a group that restarted together do not dial in step.
    await delay(wait / 2 + (Math.random() * wait) / 2, undefined, { signal, ref: false }).catch(() => {})
    wait = Math.min(wait * 2, lastDelay)
  }
}

async function disconnected(libp2p: Libp2p, id: PeerId, signal: AbortSignal): Promise<void> {
  const gone = Promise.withResolvers<void>()
  const check = (): void => {
    if (signal.aborted || libp2p.getConnections(id).length === 0) gone.resolve()
  }
  libp2p.addEventListener('peer:disconnect', check)
  signal.addEventListener('abort', check, { once: true })
  try {
    check()
    await gone.promise
  } finally {
    libp2p.removeEventListener('peer:disconnect', check)
    signal.removeEventListener('abort', check)
  }
}
