import { describe, expect, it } from 'vitest'
import { Ring } from '../../src/storage/ring.ts'

const settled = () => new Promise(resolve => setImmediate(resolve))

describe('Ring', () => {
  it('gives slots that do not overlap', async () => {
    const ring = new Ring(3)
    const slots = [await ring.acquire(), await ring.acquire(), await ring.acquire()]
    for (const [index, slot] of slots.entries()) slot.bytes.fill(index + 1)
    for (const [index, slot] of slots.entries()) expect(slot.bytes.every(byte => byte === index + 1)).toBe(true)
    expect(ring.tryAcquire()).toBeUndefined()
  })

  it('serves those who wait in order of arrival, before anyone new', async () => {
    const ring = new Ring(1)
    const slot = await ring.acquire()
    const order: string[] = []
    const first = ring.acquire().then(got => {
      order.push('first')
      return got
    })
    const second = ring.acquire().then(got => {
      order.push('second')
      return got
    })
    ring.release(slot)
    expect(ring.tryAcquire()).toBeUndefined()
    ring.release(await first)
    ring.release(await second)
    expect(order).toEqual(['first', 'second'])
    expect(ring.free).toBe(1)
  })

  it('forgets whoever gave up waiting', async () => {
    const ring = new Ring(1)
    const slot = await ring.acquire()
    const controller = new AbortController()
    const waiting = ring.acquire({ signal: controller.signal })
    controller.abort(new Error('client left'))
    await expect(waiting).rejects.toThrow('client left')
    ring.release(slot)
    expect(ring.free).toBe(1)
    await expect(ring.acquire({ signal: controller.signal })).rejects.toThrow('client left')
  })

  it('takes back the slot parked for longest when somebody needs one', async () => {
    const ring = new Ring(3)
    const flushed: number[] = []
    const slots = [await ring.acquire(), await ring.acquire(), await ring.acquire()]
    for (const slot of slots) ring.park(slot, () => flushed.push(slot.index))
    const [first, second] = slots
    if (first === undefined || second === undefined) throw new Error('no slots')
    ring.unpark(first)
    ring.park(first, () => flushed.push(first.index))
    const waiting = ring.acquire()
    expect(flushed).toEqual([second.index])
    ring.release(second)
    expect(await waiting).toBe(second)
  })

  it('takes back what is parked while somebody waits already', async () => {
    const ring = new Ring(1)
    const slot = await ring.acquire()
    const waiting = ring.acquire()
    await settled()
    ring.park(slot, () => ring.release(slot))
    expect(await waiting).toBe(slot)
  })
})
