import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Beat } from '../../src/ipfs/bitswap/beat.ts'
import { presencesOf, Told } from '../../src/ipfs/bitswap/told.ts'
import { rawCid } from './serving.ts'

const want = (text: string) => ({ cid: rawCid(Buffer.from(text)), presenceOnly: true, sendDontHave: true })

describe('Beat', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('comes so long after the first question, whenever the others and the answers come', async () => {
    const beats: number[] = []
    const beat = new Beat(() => beats.push(beat.count))
    beat.start()
    await vi.advanceTimersByTimeAsync(9)
    beat.start()
    expect(beats).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(beats).toEqual([1])
    await vi.advanceTimersByTimeAsync(100)
    expect(beats).toEqual([1])
    beat.start()
    await vi.advanceTimersByTimeAsync(10)
    expect(beats).toEqual([1, 2])
  })

  it('comes no more once stopped', async () => {
    const beat = new Beat(() => expect.unreachable())
    beat.start()
    beat.stop()
    await vi.advanceTimersByTimeAsync(100)
    expect(beat.count).toBe(0)
  })
})

describe('Told', () => {
  it('gives what is due, in the order it came up, and keeps the rest', () => {
    const told = new Told()
    told.add(want('refused'), false, 1)
    told.add(want('here'), true, 0)
    told.add(want('refused later'), false, 2)
    const take = (beat: number) => presencesOf(told.take(beat)).map(({ cid, have }) => [cid.toString(), have])
    expect(take(0)).toEqual([[want('here').cid.toString(), true]])
    expect(told.isDue(0)).toBe(false)
    expect(told.isDue(1)).toBe(true)
    expect(take(1)).toEqual([[want('refused').cid.toString(), false]])
    expect(take(2)).toEqual([[want('refused later').cid.toString(), false]])
    expect(told.isDue(9)).toBe(false)
  })

  it('gives so many at once', () => {
    const told = new Told()
    for (let count = 0; count < 1500; count++) told.add(want('x'), false, 0)
    expect(told.full).toBe(true)
    expect(told.take(0)).toHaveLength(1024)
    expect(told.full).toBe(false)
    expect(told.take(0)).toHaveLength(476)
  })
})
