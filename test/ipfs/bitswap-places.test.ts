import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Holder, Places } from '../../src/ipfs/bitswap/places.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const { signal } = new AbortController()

/** A peer that gives its places back when it has to. */
function holder(places: Places, held: () => number): Holder & { gaveWay: number } {
  const peer = {
    gaveWay: 0,
    giveWay() {
      peer.gaveWay++
      for (let count = held(); count > 0; count--) places.release(peer)
    }
  }
  return peer
}

async function take(places: Places, count: number): Promise<ReturnType<typeof holder>> {
  const peer = holder(places, () => count)
  for (let place = 0; place < count; place++) await places.take(peer, signal)
  return peer
}

/** What has come of a promise by now. */
async function stateOf(promise: Promise<unknown>): Promise<'done' | 'waiting'> {
  return Promise.race([promise.then(() => 'done' as const), Promise.resolve().then(() => 'waiting' as const)])
}

describe('Places', () => {
  it('give a peer three while there is room, then one', async () => {
    const places = new Places()
    expect(places.depth).toBe(3)
    const peer = await take(places, 33)
    expect(places.depth).toBe(1)
    places.release(peer)
    expect(places.depth).toBe(3)
  })

  it('are 64, and given in the order of asking', async () => {
    const places = new Places()
    const full = await take(places, 64)
    const [first, second] = [holder(places, () => 1), holder(places, () => 1)]
    const [one, two] = [places.take(first, signal), places.take(second, signal)]
    expect(await stateOf(one)).toBe('waiting')
    places.release(full)
    await one
    expect(await stateOf(two)).toBe('waiting')
    places.release(first)
    await two
  })

  it('are taken from the peer that got nothing out for longest, once somebody waits', async () => {
    const places = new Places()
    const stalled = await take(places, 3)
    await vi.advanceTimersByTimeAsync(1000)
    const busy = await take(places, 61)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(stalled.gaveWay).toBe(0)
    places.release(busy)
    await places.take(busy, signal)
    const waiting = places.take(
      holder(places, () => 1),
      signal
    )
    await vi.advanceTimersByTimeAsync(1000)
    await waiting
    expect([stalled.gaveWay, busy.gaveWay]).toEqual([1, 0])
  })

  it('are not taken from a peer that has only just begun', async () => {
    const places = new Places()
    const full = await take(places, 64)
    void places.take(
      holder(places, () => 1),
      signal
    )
    await vi.advanceTimersByTimeAsync(5000)
    expect(full.gaveWay).toBe(0)
    await vi.advanceTimersByTimeAsync(6000)
    expect(full.gaveWay).toBe(1)
  })

  it('are not waited for any more by a peer that is gone', async () => {
    const places = new Places()
    const full = await take(places, 64)
    const gone = new AbortController()
    const waiting = places.take(
      holder(places, () => 1),
      gone.signal
    )
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    places.release(full)
    await take(places, 1)
  })
})
