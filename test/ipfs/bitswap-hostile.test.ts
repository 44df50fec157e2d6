/** What a peer may try that wants more than blocks: to fill the node's memory, or to keep it busy. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bytesHeader, varint, varintField } from '../../src/ipfs/protobuf.ts'
import { wantlistMessage } from './bitswap-probe.ts'
import { MiB, rawCid, serving } from './serving.ts'

/** A length-prefixed message of these fields of a wantlist. */
function messageOf(wantlist: readonly number[]): Uint8Array {
  const message = [...bytesHeader(1, wantlist.length), ...wantlist]
  return Uint8Array.from([...varint(message.length), ...message])
}

function entryOf(cid: Uint8Array): number[] {
  const entry = [...bytesHeader(1, cid.length), ...cid]
  return [...bytesHeader(1, entry.length), ...entry]
}

const withoutWantlist = Uint8Array.from([2, ...varintField(5, 0)])

describe('BitswapServer', () => {
  it('leaves no want to the server of Helia, which would load all of them at once', async () => {
    const { add, probe, source } = await serving()
    const blocks = Array.from({ length: 20 }, () => randomBytes(5000))
    for (const block of blocks) await add(block)
    // Helia keeps the wants before an entry that is no CID, whatever its limit, and answers them at the next message.
    const entries = blocks.flatMap(block => entryOf(rawCid(block).bytes))
    await probe.send(messageOf([...entries, ...entryOf(Uint8Array.of(0xff, 0xff))]))
    await probe.send(withoutWantlist)
    const [last] = await probe.ask([{ cid: rawCid(Buffer.from('absent')) }], 1)
    expect(last).toMatchObject({ have: false })
    await delay(200)
    expect(probe.told.filter(told => 'block' in told)).toEqual([])
    expect(source.reads).toBe(0)
  })

  it('passes over a CID that is longer than any real one', async () => {
    const { add, probe } = await serving()
    const { root } = await add(Buffer.from('fine'))
    const long = CID.createV1(raw.code, createMultihash(0x12, randomBytes(1 * MiB)))
    expect(await probe.ask([{ cid: long }, { cid: root }], 1)).toEqual([{ block: Buffer.from('fine') }])
    await probe.ask([{ cid: root }], 1)
    expect(probe.told).toHaveLength(2)
  })

  it('resets streams of a peer that begins messages and ends none', async () => {
    const { add, probe } = await serving()
    const { root } = await add(Buffer.from('still here'))
    const begun = Buffer.concat([Buffer.from(varint(4 * MiB)), Buffer.alloc(3 * MiB)])
    const streams: Stream[] = []
    for (let count = 0; count < 12; count++) streams.push(await probe.send(begun))
    await expect.poll(() => streams.filter(({ status }) => status !== 'open').length).toBeGreaterThan(5)
    expect(await probe.ask([{ cid: root }])).toEqual([{ block: Buffer.from('still here') }])
  })

  it('keeps so many streams of one connection, and serves on those', async () => {
    const { add, probe } = await serving()
    const { root } = await add(Buffer.from('still here'))
    const streams: (Stream | undefined)[] = []
    for (let count = 0; count < 160; count++) streams.push(await probe.send(varintOf(100)).catch(() => undefined))
    await expect.poll(() => streams.filter(stream => stream?.status === 'open').length).toBeLessThanOrEqual(128)
    for (const stream of streams) stream?.abort(new Error('enough'))
    await expect
      .poll(async () => (await probe.ask([{ cid: root }])).at(-1))
      .toEqual({
        block: Buffer.from('still here')
      })
  })

  it('outlives whatever is sent to it', async () => {
    const { add, probe, ipfs } = await serving()
    const { root } = await add(Buffer.from('still here'))
    const field = fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ maxLength: 80 }))
      .map(([number, body]) => [...bytesHeader(number, body.length), ...body])
    const nested = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.array(field, { maxLength: 4 }))
      .map(([number, fields]) => [...bytesHeader(number, fields.flat().length), ...fields.flat()])
    const message = fc
      .array(fc.oneof(field, nested), { maxLength: 5 })
      .map(fields => Uint8Array.from([...varint(fields.flat().length), ...fields.flat()]))
    const stream = fc.oneof(fc.array(message, { maxLength: 4 }).map(Buffer.concat), fc.uint8Array({ maxLength: 200 }))
    for (const bytes of fc.sample(stream, 300)) {
      const sent = await probe.send(bytes)
      sent.close().catch(() => undefined)
    }
    await expect
      .poll(() => probe.ask([{ cid: root }], 1).then(told => told.at(-1)))
      .toEqual({
        block: Buffer.from('still here')
      })
    expect(ipfs.peers()).toContain(probe.libp2p.peerId.toString())
  }, 20_000)

  it('shows by no stream kept open that a private block came', async () => {
    const { add, probe, ipfs, source } = await serving()
    const { root, home } = await add(randomBytes(3000))
    source.hidden.add(home)
    expect(await probe.ask([{ cid: root }])).toMatchObject([{ have: false }])
    expect(probe.listening).toBe(true)
    // Ten seconds after the answer, and not ten seconds after the last push.
    const pushes = setInterval(() => ipfs.announce(root), 500)
    onTestFinished(() => clearInterval(pushes))
    await expect.poll(() => probe.listening, { timeout: 20_000 }).toBe(false)
    expect(probe.told).toHaveLength(1)
  }, 30_000)

  it('sends no block that was read for a slow peer and is private by now', async () => {
    const { add, probe, source } = await serving()
    const bytes = randomBytes(60 * MiB)
    const { home } = await add(bytes)
    const leaves = Array.from({ length: 60 }, (_, index) => bytes.subarray(index * MiB, (index + 1) * MiB))
    probe.hold()
    await probe.send(wantlistMessage(leaves.map(leaf => ({ cid: rawCid(leaf) }))))
    let reads = -1
    while (source.reads !== reads || reads === 0) {
      reads = source.reads
      await delay(1500)
    }
    source.hidden.add(home)
    probe.release()
    await probe.until(60)
    // All but the two read ahead were on their way.
    expect(probe.told.filter(told => 'block' in told).length).toBeLessThanOrEqual(reads - 2)
    expect(source.reads).toBe(reads)
  })
})

function varintOf(value: number): Uint8Array {
  return Uint8Array.from(varint(value))
}
