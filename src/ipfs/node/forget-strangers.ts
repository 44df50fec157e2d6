import { setTimeout as delay } from 'node:timers/promises'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Log } from '../../registry/ports.ts'

/** ms after a disconnection: libp2p's own listeners look the peer up, to clean up what they keep of it. */
const pause = 1_000

/**
 * Keeps no record of peers that are gone. libp2p writes what each one says of itself, up to 80 KiB, into its datastore and
 * leaves it there while the node runs: whoever connects under ever new names would fill the disk.
 */
export function forgetStrangers(
  libp2p: Libp2p,
  friends: readonly { id: PeerId }[],
  log: Log,
  signal: AbortSignal
): void {
  const kept = new Set(friends.map(({ id }) => id.toString()))
  const forget = async (peer: PeerId): Promise<void> => {
    if (kept.has(peer.toString()) || libp2p.getConnections(peer).length > 0) return
    await libp2p.peerStore.delete(peer, { signal })
  }
  const quietly = (work: Promise<unknown>): void => {
    work.catch((error: unknown) => {
      if (!signal.aborted) log.debug({ err: error }, 'cannot forget a peer that is gone')
    })
  }
  const onDisconnect = ({ detail: peer }: CustomEvent<PeerId>): void =>
    quietly(delay(pause, undefined, { signal, ref: false }).then(() => forget(peer)))
  libp2p.addEventListener('peer:disconnect', onDisconnect)
  signal.addEventListener('abort', () => libp2p.removeEventListener('peer:disconnect', onDisconnect), { once: true })
  // Those of an earlier run.
  quietly(libp2p.peerStore.all({ signal }).then(peers => Promise.all(peers.map(({ id }) => forget(id)))))
}
