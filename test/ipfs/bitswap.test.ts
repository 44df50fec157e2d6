import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { identify } from '@libp2p/identify'
import type { Registrar } from '@libp2p/interface-internal'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { MemoryBlockstore } from 'blockstore-core'
import fc from 'fast-check'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FrameReader } from '../../src/ipfs/bitswap/frames.ts'
import { BitswapServer } from '../../src/ipfs/bitswap/server.ts'
import { Wants } from '../../src/ipfs/bitswap/wants.ts'
import { varint } from '../../src/ipfs/protobuf.ts'
import { wantlistMessage } from './bitswap-probe.ts'
import { MiB, rawCid, serving } from './serving.ts'
import { silentLog } from './silent-log.ts'

describe('FrameReader', () => {
  it('finds the messages however the stream was cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (list, cuts) => {
        const bytes = Buffer.concat(list.flatMap(message => [Buffer.from(varint(message.length)), message]))
        const frames = new FrameReader(300)
        const found: Uint8Array[] = []
        for (let at = 0; at < bytes.length; ) {
          const length = cuts.next().value ?? 1
          found.push(...frames.push(bytes.subarray(at, at + length)))
          at += length
        }
        expect(found.map(message => Buffer.from(message))).toEqual(list.map(message => Buffer.from(message)))
      })
    )
  })

  it('refuses a message above the limit before it has come, and a length without end', () => {
    expect(() => [...new FrameReader(100).push(Uint8Array.from(varint(101)))]).toThrow(RangeError)
    expect(() => [...new FrameReader(100).push(new Uint8Array(6).fill(0x80))]).toThrow(RangeError)
  })
})

describe('Wants', () => {
  const entry = (text: string, flags = {}) => ({
    cid: rawCid(Buffer.from(text)),
    cancel: false,
    presenceOnly: false,
    sendDontHave: true,
    ...flags
  })

  it('answers in order and forgets what was cancelled', () => {
    const wants = new Wants()
    wants.update({ full: false, entries: [entry('a'), entry('b'), entry('c')] })
    wants.update({ full: false, entries: [entry('b', { cancel: true })] })
    expect([wants.take(), wants.take()].map(want => want?.cid.toString())).toEqual(
      ['a', 'c'].map(text => rawCid(Buffer.from(text)).toString())
    )
    expect(wants.take()).toBeUndefined()
  })

  it('replaces everything by a full wantlist', () => {
    const wants = new Wants()
    wants.update({ full: false, entries: [entry('a'), entry('b')] })
    wants.update({ full: true, entries: [entry('c')] })
    expect(wants.size).toBe(1)
  })

  it('keeps at most so many of one peer, the unmet ones the youngest', () => {
    const wants = new Wants()
    const many = Array.from({ length: 5000 }, (_, index) => entry(String(index)))
    wants.update({ full: false, entries: many })
    expect(wants.size).toBe(4096)
    for (let want = wants.take(); want !== undefined; want = wants.take()) wants.keepUnmet(want)
    expect(wants.met(entry('0').cid)).toBe(false)
    expect(wants.met(entry('4095').cid)).toBe(true)
    expect(wants.take()?.cid.toString()).toBe(entry('4095').cid.toString())
  })

  it('gives each want as it was asked, and keeps nothing of the message it came in', () => {
    const message = Buffer.concat([entry('a').cid.bytes, Buffer.alloc(MiB)])
    const cid = CID.decode(message.subarray(0, 36))
    const wants = new Wants()
    wants.update({ full: false, entries: [{ ...entry('a', { presenceOnly: true, sendDontHave: false }), cid }] })
    const want = wants.take()
    expect(want).toMatchObject({ presenceOnly: true, sendDontHave: false })
    expect(want?.cid.equals(cid)).toBe(true)
    expect(want?.cid.bytes.buffer.byteLength).toBeLessThan(MiB)
  })

  it('keeps less of each peer when there are many', () => {
    const many = { full: false, entries: Array.from({ length: 5000 }, (_, index) => entry(String(index))) }
    const kept = (peers: number): { pending: number; unmet: number } => {
      const wants = new Wants(() => peers)
      wants.update(many)
      const pending = wants.size
      for (let want = wants.take(); want !== undefined; want = wants.take()) wants.keepUnmet(want)
      return { pending, unmet: many.entries.filter(({ cid }) => wants.met(cid)).length }
    }
    expect([1, 16, 64, 300].map(kept)).toEqual([
      { pending: 4096, unmet: 1024 },
      { pending: 4096, unmet: 1024 },
      { pending: 1024, unmet: 512 },
      { pending: 256, unmet: 109 }
    ])
  })

  it('keeps the age of a want for which only a private block came', () => {
    const wants = new Wants()
    const many = Array.from({ length: 1024 }, (_, index) => entry(String(index)))
    wants.update({ full: false, entries: many })
    for (let want = wants.take(); want !== undefined; want = wants.take()) wants.keepUnmet(want)
    expect(wants.met(entry('0').cid)).toBe(true)
    const again = wants.take()
    if (again !== undefined) wants.keepUnmet(again)
    wants.keepUnmet({ cid: rawCid(Buffer.from('one more')), presenceOnly: false, sendDontHave: false })
    expect(wants.met(entry('0').cid)).toBe(false)
    expect(wants.met(entry('1').cid)).toBe(true)
  })

  it('waits no more for a block that came and was here', () => {
    const wants = new Wants()
    const want = entry('a')
    wants.keepUnmet(want)
    wants.met(want.cid)
    wants.take()
    wants.answered(want)
    expect(wants.met(want.cid)).toBe(false)
  })
})

describe('BitswapServer', () => {
  it('sends the blocks of a blob', async () => {
    const { add, probe } = await serving()
    const bytes = randomBytes(3 * MiB)
    await add(bytes)
    const leaves = [0, 1, 2].map(index => bytes.subarray(index * MiB, (index + 1) * MiB))
    const told = await probe.ask(leaves.map(leaf => ({ cid: rawCid(leaf) })))
    for (const [index, answer] of told.entries()) {
      expect('block' in answer && answer.block.equals(leaves[index] ?? Buffer.alloc(0))).toBe(true)
    }
    expect(told).toHaveLength(3)
  })

  it('says have from the index, and sends a small block at once', async () => {
    const { add, probe, source } = await serving()
    const large = (await add(randomBytes(5000))).root
    const small = (await add(Buffer.from('small'))).root
    expect(await probe.ask([{ cid: large, presenceOnly: true }])).toEqual([{ cid: large.toString(), have: true }])
    expect(source.reads).toBe(0)
    expect(await probe.ask([{ cid: small, presenceOnly: true }])).toEqual([{ block: Buffer.from('small') }])
  })

  it('tells private as it tells absent, and nothing to a peer that did not ask to be told', async () => {
    const { add, probe, source } = await serving()
    const { root, home } = await add(Buffer.from('private'))
    const open = await add(Buffer.from('open'))
    const absent = rawCid(Buffer.from('absent'))
    source.hidden.add(home)
    for (const presenceOnly of [true, false]) {
      for (const cid of [root, absent]) {
        expect(await probe.ask([{ cid, presenceOnly }])).toEqual([{ cid: cid.toString(), have: false }])
      }
    }
    const quiet = [
      { cid: root, sendDontHave: false },
      { cid: absent, sendDontHave: false },
      { cid: open.root, sendDontHave: false }
    ]
    expect(await probe.ask(quiet, 1)).toEqual([{ block: Buffer.from('open') }])
    expect(source.reads).toBe(1)
  })

  it('sends a block that comes after it was wanted, once it is announced', async () => {
    const { add, probe, ipfs } = await serving()
    const cid = rawCid(Buffer.from('to come'))
    expect(await probe.ask([{ cid }])).toEqual([{ cid: cid.toString(), have: false }])
    ipfs.announce((await add(Buffer.from('to come'))).root)
    await probe.until(2)
    expect(probe.told[1]).toEqual({ block: Buffer.from('to come') })
  })

  it('answers an I/O error as a block to be had elsewhere, and goes on', async () => {
    const { add, probe, source } = await serving()
    const broken = (await add(Buffer.from('broken'))).root
    await source.closeHandles()
    expect(await probe.ask([{ cid: broken }])).toEqual([{ cid: broken.toString(), have: false }])
    const fine = (await add(Buffer.from('fine'))).root
    expect(await probe.ask([{ cid: fine }])).toEqual([{ block: Buffer.from('fine') }])
  })

  it('answers thousands of wants in one message', async () => {
    const { add, probe } = await serving()
    const { root } = await add(Buffer.from('the one that is here'))
    const absent = Array.from({ length: 3000 }, (_, index) => ({ cid: rawCid(Buffer.from(`no ${index}`)) }))
    const told = await probe.ask([...absent, { cid: root }])
    expect(told.filter(answer => 'have' in answer && !answer.have)).toHaveLength(3000)
    expect(told.filter(answer => 'block' in answer)).toHaveLength(1)
  })

  it('reads no further than a peer that stops listening can take', async () => {
    const { add, probe, source } = await serving()
    const bytes = randomBytes(100 * MiB)
    await add(bytes)
    const asks = Array.from({ length: 100 }, (_, index) => ({
      cid: rawCid(bytes.subarray(index * MiB, (index + 1) * MiB))
    }))
    probe.hold()
    await probe.send(wantlistMessage(asks))
    let reads = -1
    while (source.reads !== reads || reads === 0) {
      reads = source.reads
      await delay(500)
    }
    // Windows of the stream and buffers of the sockets, and three blocks read ahead.
    expect(reads).toBeLessThan(40)
    probe.release()
    await probe.until(100)
    expect(source.reads).toBe(100)
  })

  it('resets a stream that sends nonsense and serves the next one', async () => {
    const { add, probe } = await serving()
    const { root } = await add(Buffer.from('still here'))
    for (const nonsense of [Uint8Array.from([3, 0xff, 0xff, 0xff]), Uint8Array.from(varint(5 * MiB))]) {
      const stream = await probe.send(nonsense)
      await new Promise(resolve => stream.addEventListener('close', resolve, { once: true }))
    }
    expect(await probe.ask([{ cid: root }])).toEqual([{ block: Buffer.from('still here') }])
  })

  it('sends on a new stream what was on one that broke', async () => {
    const { add, probe } = await serving()
    const bytes = randomBytes(8 * MiB)
    await add(bytes)
    const absent = rawCid(Buffer.from('absent'))
    const leaves = Array.from({ length: 8 }, (_, index) => bytes.subarray(index * MiB, (index + 1) * MiB))
    probe.breakStreams(2)
    await probe.send(wantlistMessage([absent, ...leaves.map(rawCid)].map(cid => ({ cid }))))
    const missing = (): number =>
      leaves.filter(leaf => !probe.told.some(told => 'block' in told && told.block.equals(leaf))).length
    while (missing() > 0) await delay(20)
    expect(probe.told).toContainEqual({ cid: absent.toString(), have: false })
  })

  it('leaves fetching to Helia, on the same streams', async () => {
    const here = await heliaWithServer()
    const there = await heliaWithServer()
    const blocks = Array.from({ length: 20 }, () => randomBytes(MiB))
    for (const block of blocks) await there.store.put(rawCid(block), block)
    await here.helia.libp2p.dial(there.helia.libp2p.getMultiaddrs())
    for (const block of blocks) {
      const chunks: Uint8Array[] = []
      for await (const chunk of here.helia.blockstore.get(rawCid(block))) chunks.push(chunk)
      expect(Buffer.concat(chunks).equals(block)).toBe(true)
    }
  })
})

async function heliaWithServer() {
  const store = new MemoryBlockstore()
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight({ blockstore: store }), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      services: { identify: identify(), registrar: ({ registrar }: { registrar: Registrar }) => registrar }
    })
  )
  await helia.start()
  const { libp2p } = helia
  const read = async (cid: CID): Promise<Uint8Array> => {
    for await (const chunk of store.get(cid)) return chunk
    throw new Error('no bytes')
  }
  const find = async (cid: CID) => (store.has(cid) ? { length: (await read(cid)).byteLength } : undefined)
  const registrar = libp2p.services.registrar
  const server = new BitswapServer({ libp2p, registrar, log: silentLog, blocks: { find, read } })
  await server.start()
  onTestFinished(async () => {
    server.stop()
    await helia.stop()
  })
  return { helia, store }
}
