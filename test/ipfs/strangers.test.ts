/** What a stranger is told who only connects, and what it can make the node do beyond answering. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import { describe, expect, it, onTestFinished } from 'vitest'
import { encodeMessage } from '../../src/ipfs/bitswap/message.ts'
import { bitswap, wantlistMessage } from './bitswap-probe.ts'
import { rawCid, serving } from './serving.ts'

async function stranger(announce: string[] = []): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'], announce },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  onTestFinished(async () => await libp2p.stop())
  return libp2p
}

/** A port of loopback, and how often somebody came. */
async function trap() {
  let visits = 0
  const server = createServer(socket => {
    visits++
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { address: `/ip4/127.0.0.1/tcp/${port}`, visits: () => visits }
}

describe('a stranger', () => {
  it('learns that this is Pinnace, of no version, and that it speaks bitswap and identify, nothing else', async () => {
    const { address } = await serving()
    const peer = await stranger()
    const { remotePeer } = await peer.dial(multiaddr(address))
    // The protocol by which identify asks is noted before it is answered.
    await expect.poll(async () => (await peer.peerStore.get(remotePeer)).metadata.has('AgentVersion')).toBe(true)
    const { protocols, metadata, addresses } = await peer.peerStore.get(remotePeer)
    expect([...protocols].sort()).toEqual(['/ipfs/bitswap/1.2.0', '/ipfs/id/1.0.0'])
    expect(new TextDecoder().decode(metadata.get('AgentVersion'))).toBe('pinnace')
    expect(addresses.map(known => `${known.multiaddr}/p2p/${remotePeer}`)).toEqual([address])
    for (const protocol of [
      '/ipfs/ping/1.0.0',
      '/ipfs/kad/1.0.0',
      '/libp2p/circuit/relay/0.2.0/hop',
      '/ipfs/id/push/1.0.0'
    ])
      await expect(peer.dialProtocol(multiaddr(address), protocol)).rejects.toThrow(/protocol/i)
  })

  it('makes the node dial nobody: not where it says it listens, nor for blocks it says it has', async () => {
    const { address, ipfs } = await serving()
    const elsewhere = await trap()
    const peer = await stranger([elsewhere.address])
    await peer.handle(bitswap, () => undefined)
    const connection = await peer.dial(multiaddr(address))
    const cid = rawCid(Buffer.from('wanted'))
    const stream = await connection.newStream(bitswap)
    stream.send(wantlistMessage([{ cid }]))
    for (const part of encodeMessage([{ cid, have: true }], { cid, bytes: Buffer.from('wanted') })) stream.send(part)
    await delay(500)
    await peer.stop()
    await expect.poll(() => ipfs.peers()).not.toContain(peer.peerId.toString())
    ipfs.announce(cid)
    await delay(1500)
    expect(elsewhere.visits()).toBe(0)
    expect(ipfs.multiaddrs()).toEqual([address])
  })

  it('leaves nothing on the disk when it is gone', async () => {
    const { address, ipfs, folder, probe } = await serving()
    for (let count = 0; count < 3; count++) {
      const peer = await stranger(['/ip4/127.0.0.1/tcp/1'])
      await peer.handle(bitswap, () => undefined)
      const { remotePeer } = await peer.dial(multiaddr(address))
      await expect.poll(async () => (await peer.peerStore.get(remotePeer)).protocols.length).toBeGreaterThan(0)
      await peer.stop()
    }
    await probe.libp2p.stop()
    await expect.poll(() => ipfs.peers()).toEqual([])
    // What libp2p does first with a peer that went.
    await delay(4000)
    await ipfs.stop()
    const datastore = new LevelDatastore(join(folder, 'ipfs', 'datastore'))
    await datastore.open()
    const peers: string[] = []
    for await (const key of datastore.queryKeys({ prefix: '/peers/' })) peers.push(key.toString())
    await datastore.close()
    // The node itself.
    expect(peers).toHaveLength(1)
  })

  it('gets in only so often from one address', async () => {
    const { address } = await serving()
    const peers = await Promise.all(Array.from({ length: 12 }, () => stranger()))
    const dialled = await Promise.allSettled(peers.map(peer => peer.dial(multiaddr(address))))
    expect(dialled.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    await expect
      .poll(
        async () =>
          (await stranger()).dial(multiaddr(address)).then(
            ({ status }) => status,
            () => 'refused'
          ),
        {
          timeout: 10_000,
          interval: 1200
        }
      )
      .toBe('open')
  }, 20_000)
})
