import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'
import { FrameReader } from '../../src/ipfs/bitswap/frames.ts'
import { decodeMessage, encodeMessage } from '../../src/ipfs/bitswap/message.ts'
import { PartialMessages, type Sender } from '../../src/ipfs/bitswap/partial-messages.ts'
import { bytesHeader, fieldsOf, varint, varintField } from '../../src/ipfs/protobuf.ts'
import { type Ask, wantlistMessage } from './bitswap-probe.ts'
import { MiB, rawCid } from './serving.ts'

const cids = fc
  .tuple(fc.constantFrom(0x55, 0x70, 0x71), fc.uint8Array({ minLength: 1, maxLength: 64 }))
  .map(([codec, digest]) => CID.createV1(codec, createMultihash(0x12, digest)))
const asks: fc.Arbitrary<Required<Ask>[]> = fc.array(
  fc.record({ cid: cids, presenceOnly: fc.boolean(), sendDontHave: fc.boolean(), cancel: fc.boolean() }),
  { maxLength: 30 }
)

/** The message behind its length. */
function unframed(bytes: Uint8Array): Uint8Array {
  const [message = new Uint8Array()] = new FrameReader(4 * MiB).push(bytes)
  return message
}

function message(number: number, body: readonly number[]): Uint8Array {
  return Uint8Array.from([...bytesHeader(number, body.length), ...body])
}

describe('decodeMessage', () => {
  it('reads every wantlist as it was written', () => {
    fc.assert(
      fc.property(asks, fc.boolean(), (list, full) => {
        const { wantlist, answers } = decodeMessage(unframed(wantlistMessage(list, full)))
        expect(wantlist.full).toBe(full)
        expect(wantlist.entries.map(({ cid, ...flags }) => ({ cid: cid.toString(), ...flags }))).toEqual(
          list.map(({ cid, ...flags }) => ({ cid: cid.toString(), ...flags }))
        )
        expect(answers).toBeUndefined()
      })
    )
  })

  it('throws nothing but errors, and hands on blocks and presences only, whatever bytes come', () => {
    // Random bytes are mostly refused at the first field: half of these are fields with random bytes in them.
    const fields = fc
      .array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ maxLength: 60 })), { maxLength: 6 })
      .map(list => Uint8Array.from(list.flatMap(([number, body]) => [...bytesHeader(number, body.length), ...body])))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fields), bytes => {
        let answers: Uint8Array | undefined
        try {
          answers = decodeMessage(bytes).answers
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
        for (const { number } of fieldsOf(unframed(answers ?? new Uint8Array()))) expect([3, 4]).toContain(number)
      }),
      { numRuns: 1000 }
    )
  })

  it('hands on what answers wants, byte for byte and with a length', () => {
    const block = { cid: rawCid(Buffer.from('block')), bytes: Buffer.from('block') }
    const sent = Buffer.concat(encodeMessage([{ cid: rawCid(Buffer.from('x')), have: false }], block))
    const { answers = new Uint8Array() } = decodeMessage(unframed(sent))
    // Without the empty wantlist, which is two bytes.
    expect(Buffer.from(unframed(answers))).toEqual(Buffer.from(unframed(sent).subarray(2)))
  })

  it('hands on no prefix and no CID that would take long to read', () => {
    const long = Array.from({ length: 1000 }, () => 1)
    const prefixed = [...bytesHeader(1, long.length), ...long]
    for (const number of [3, 4]) {
      expect(decodeMessage(message(number, prefixed)).answers).toBeUndefined()
      expect(decodeMessage(message(number, varintField(1, 1))).answers).toBeUndefined()
      expect(decodeMessage(message(number, bytesHeader(1, 0))).answers).toBeDefined()
    }
  })

  it('takes so many entries and answers of one message and no more', () => {
    const { cid } = { cid: rawCid(Buffer.from('x')) }
    const many = unframed(wantlistMessage(Array.from({ length: 20_000 }, () => ({ cid }))))
    expect(decodeMessage(many).wantlist.entries).toHaveLength(8192)
    const empty = Buffer.concat(Array.from({ length: 20_000 }, () => message(4, [])))
    expect([...fieldsOf(unframed(decodeMessage(empty).answers ?? new Uint8Array()))]).toHaveLength(8192)
  })
})

describe('FrameReader', () => {
  it('keeps no more than twice what has come, whatever was promised and however it was cut', () => {
    const frames = new FrameReader(4 * MiB)
    expect([...frames.push(Uint8Array.from(varint(4 * MiB)))]).toEqual([])
    expect(frames.buffered).toBeLessThan(20)
    for (let byte = 0; byte < 10_000; byte++) expect([...frames.push(Uint8Array.of(0))]).toEqual([])
    expect(frames.buffered).toBeLessThan(20_100)
  })

  it('keeps no chunk for the few bytes at its end', () => {
    const frames = new FrameReader(100)
    const chunk = Buffer.concat([Buffer.from([3, 1, 2, 3]), Buffer.from([50, 1])])
    expect([...frames.push(chunk)]).toHaveLength(1)
    expect(frames.buffered).toBe(2)
  })
})

describe('PartialMessages', () => {
  function stream() {
    const aborted: Error[] = []
    const sender: Sender = { abort: error => aborted.push(error) }
    return { sender, aborted }
  }

  it('resets the stream with which a peer goes too far', () => {
    const partial = new PartialMessages()
    const streams = Array.from({ length: 5 }, stream)
    for (const { sender } of streams) partial.hold(sender, 'one', 4 * MiB)
    expect(streams.map(({ aborted }) => aborted.length)).toEqual([0, 0, 0, 0, 1])
  })

  it('resets the streams of the peer that holds most when all together are too much', () => {
    const partial = new PartialMessages()
    const most = Array.from({ length: 4 }, stream)
    for (const { sender } of most) partial.hold(sender, 'most', 4 * MiB)
    const others = Array.from({ length: 13 }, stream)
    for (const [index, { sender }] of others.entries()) partial.hold(sender, `other ${index}`, 4 * MiB - 1)
    expect(most.every(({ aborted }) => aborted.length === 1)).toBe(true)
    expect(others.every(({ aborted }) => aborted.length === 0)).toBe(true)
  })

  it('forgets what came whole or was closed', () => {
    const partial = new PartialMessages()
    const { sender, aborted } = stream()
    for (let round = 0; round < 100; round++) {
      partial.hold(sender, 'one', 3 * MiB)
      partial.hold(sender, 'one', 0)
    }
    expect(aborted).toEqual([])
  })
})
