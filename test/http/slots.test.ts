import { describe, expect, it } from 'vitest'
import { Slots } from '../../src/http/slots.ts'

const long = 600_000

describe('slots', () => {
  it('are as many as was said, and none is waited for when there is no time', async () => {
    const slots = new Slots(2)
    expect(await Promise.all([slots.take(0), slots.take(0), slots.take(0)])).toEqual([true, true, false])
    slots.release()
    expect(await Promise.all([slots.take(0), slots.take(0)])).toEqual([true, false])
  })

  it('go to whoever waits longest', async () => {
    const slots = new Slots(1)
    await slots.take(0)
    const order: number[] = []
    const waiters = [1, 2, 3].map(async n => {
      expect(await slots.take(long)).toBe(true)
      order.push(n)
      slots.release()
    })
    // One that comes now is behind those that wait already.
    expect(await slots.take(0)).toBe(false)
    slots.release()
    await Promise.all(waiters)
    expect(order).toEqual([1, 2, 3])
    expect(await slots.take(0)).toBe(true)
  })

  it('are not lost on one who gave up', async () => {
    const slots = new Slots(1)
    await slots.take(0)
    const gone = new Error('gone')
    const controller = new AbortController()
    const aborted = slots.take(long, { signal: controller.signal })
    const late = slots.take(1)
    const patient = slots.take(long)
    controller.abort(gone)
    await expect(aborted).rejects.toBe(gone)
    expect(await late).toBe(false)
    slots.release()
    expect(await patient).toBe(true)
    await expect(slots.take(long, { signal: controller.signal })).rejects.toBe(gone)
    expect(await slots.take(0)).toBe(false)
    slots.release()
    expect(await slots.take(0)).toBe(true)
  })

  it('stay taken by a waiter whose signal aborts after its turn came', async () => {
    const slots = new Slots(1)
    await slots.take(0)
    const controller = new AbortController()
    const waiting = slots.take(long, { signal: controller.signal })
    slots.release()
    controller.abort(new Error('too late'))
    expect(await waiting).toBe(true)
    expect(await slots.take(0)).toBe(false)
  })
})
