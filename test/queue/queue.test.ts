import { beforeEach, describe, expect, it } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { WorkFailure } from '../../src/registry/ports.ts'
import { Workbench } from './workbench.ts'

let bench: Workbench

beforeEach(async () => {
  bench = await Workbench.open()
})

describe('work', () => {
  it('waits, durably, until somebody registers for its kind', async () => {
    await bench.enqueue('a', { payload: 'hello' })
    expect(bench.level.syncs).toBe(1)
    expect(await bench.queue.get('k', 'a')).toMatchObject({ state: 'waiting', attempts: 0, due: bench.clock.now() })
    expect(bench.calls).toEqual([])
    bench.register('other')
    bench.register('k')
    await bench.settle()
    expect(bench.call('a').item).toMatchObject({ kind: 'k', key: 'a', payload: 'hello', state: 'running', attempts: 1 })
  })

  it('is gone once done, and leaves no key behind', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.done('a')
    expect(await bench.queue.get('k', 'a')).toBeUndefined()
    expect(await bench.level.keys()).toEqual([])
  })

  it('is begun as soon as it is enqueued', async () => {
    bench.register('k')
    await bench.enqueue('a')
    expect(bench.running).toEqual(['a'])
  })

  it('is done in the order it is due, so much at once', async () => {
    const now = bench.clock.now()
    for (const [key, due] of Object.entries({ c: now - 1, a: now - 3, d: now, b: now - 2 }))
      await bench.enqueue(key, { due })
    bench.register('k', { concurrency: 2 })
    await bench.settle()
    expect(bench.running).toEqual(['a', 'b'])
    await bench.done('b')
    expect(bench.running).toEqual(['a', 'c'])
    await bench.done('c')
    await bench.done('a')
    expect(bench.running).toEqual(['d'])
  })

  it('waits until it is due', async () => {
    bench.register('k')
    await bench.enqueue('late', { due: bench.clock.now() + 5000 })
    await bench.enqueue('later', { due: bench.clock.now() + 9000 })
    await bench.advance(4999)
    expect(bench.running).toEqual([])
    await bench.advance(1)
    expect(bench.running).toEqual(['late'])
    await bench.done('late')
    await bench.advance(4000)
    expect(bench.running).toEqual(['later'])
  })

  it('of one kind does not wait for another', async () => {
    bench.register('k')
    bench.register('other')
    await bench.enqueue('a')
    await bench.enqueue('b')
    await bench.enqueue('b', { kind: 'other' })
    expect(bench.calls.map(({ item }) => [item.kind, item.key])).toEqual([
      ['k', 'a'],
      ['other', 'b']
    ])
  })

  it('is enqueued together or not at all', async () => {
    bench.level.failure = Object.assign(new Error('write failed'), { code: 'ENOSPC' })
    const work = ['a', 'b'].map(key => ({ kind: 'k', key, payload: null }))
    await expect(bench.queue.enqueue(work)).rejects.toBeInstanceOf(RegistryError)
    await expect(bench.queue.enqueue(work)).rejects.toMatchObject({ reason: 'STORAGE_FULL' })
    bench.level.failure = undefined
    expect(await bench.list('waiting')).toEqual([])
    await bench.queue.enqueue(work)
    expect(await bench.list('waiting')).toHaveLength(2)
  })

  it('enqueued by many at once shares the syncs', async () => {
    await Promise.all(
      Array.from({ length: 100 }, (_, at) => bench.queue.enqueue([{ kind: 'k', key: `${at}`, payload: at }]))
    )
    expect(bench.level.syncs).toBeLessThan(5)
    expect(await bench.list('waiting', 'k')).toHaveLength(100)
  })

  it.each([
    ['', 'a'],
    ['k', ''],
    ['k\0', 'a'],
    ['k', 'a\0b']
  ])('may not be called %j %j', async (kind, key) => {
    await expect(bench.queue.enqueue([{ kind, key, payload: null }])).rejects.toBeInstanceOf(TypeError)
  })

  it('has one worker a kind', () => {
    bench.register('k')
    expect(() => bench.register('k')).toThrow(TypeError)
  })

  it('of another prefix is another queue’s', async () => {
    await bench.enqueue('a')
    const other = await Workbench.open({ prefix: 'queue2' })
    expect(await other.list('waiting')).toEqual([])
    await other.enqueue('b')
    expect((await other.level.keys()).every(key => key.startsWith('queue2\0'))).toBe(true)
  })
})

describe('work under a key that is there already', () => {
  it('replaces it', async () => {
    await bench.enqueue('a', { payload: 'old', due: bench.clock.now() + 1000 })
    await bench.enqueue('a', { payload: 'new' })
    bench.register('k', { concurrency: 5 })
    await bench.settle()
    expect(bench.calls.map(call => call.item.payload)).toEqual(['new'])
    await bench.done('a')
    await bench.advance(1000)
    expect(bench.running).toEqual([])
  })

  it('replaces what failed for good', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.fail('a', new WorkFailure('never', { permanent: true }))
    await bench.enqueue('a')
    expect(bench.call('a').item.attempts).toBe(1)
  })

  it.each(['done', 'failed'])(
    'waits for the end of what is under way, and is not touched when that is %s',
    async how => {
      bench.register('k', { concurrency: 5 })
      await bench.enqueue('a', { payload: 'old' })
      await bench.enqueue('a', { payload: 'new' })
      expect(bench.calls.map(call => call.item.payload)).toEqual(['old'])
      expect(bench.call('a').signal.aborted).toBe(false)
      await (how === 'done' ? bench.done('a') : bench.fail('a'))
      expect(bench.calls.map(call => call.item)).toMatchObject([{ payload: 'new', attempts: 1 }])
      await bench.done('a')
      expect(await bench.level.keys()).toEqual([])
    }
  )
})

describe('work that fails', () => {
  it('is tried again after a time that doubles up to the cap', async () => {
    bench.register('k', { backoffMs: 1000, maxBackoffMs: 10_000 })
    await bench.enqueue('a')
    for (const delay of [500, 1000, 2000, 4000, 5000, 5000]) {
      await bench.fail('a', new Error('refused'))
      expect(await bench.queue.get('k', 'a')).toMatchObject({
        state: 'waiting',
        due: bench.clock.now() + delay,
        error: 'refused'
      })
      await bench.advance(delay - 1)
      expect(bench.running).toEqual([])
      await bench.advance(1)
      expect(bench.running).toEqual(['a'])
    }
    expect(bench.call('a').item.attempts).toBe(7)
  })

  it('is tried again at a random moment of the later half', async () => {
    bench.register('k', { backoffMs: 1000 })
    bench.random = 0.999
    await bench.enqueue('a')
    await bench.fail('a')
    expect((await bench.queue.get('k', 'a'))?.due).toBe(bench.clock.now() + 1000)
  })

  it('does not hold up the rest', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.enqueue('b')
    await bench.fail('a')
    expect(bench.running).toEqual(['b'])
  })

  it('by a worker that throws before it waits is the same', async () => {
    bench.queue.register('k', () => {
      throw new Error('at once')
    })
    await bench.enqueue('a')
    expect(await bench.queue.get('k', 'a')).toMatchObject({ state: 'waiting', error: 'at once' })
  })

  it('for good stays, with the reason, until it is retried', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.fail('a', new WorkFailure('401 Unauthorized', { permanent: true }))
    await bench.advance(1e9)
    expect(bench.running).toEqual([])
    expect(await bench.list('failed')).toMatchObject([{ key: 'a', error: '401 Unauthorized', attempts: 1 }])
    expect(await bench.queue.retry('k', 'a')).toBe(true)
    await bench.settle()
    expect(bench.call('a').item).toMatchObject({ attempts: 1 })
    expect(await bench.queue.retry('k', 'a')).toBe(false)
    expect(await bench.queue.retry('k', 'none')).toBe(false)
  })

  it('fails for good after so many attempts, where that is set', async () => {
    bench.register('k', { maxAttempts: 2, backoffMs: 10 })
    await bench.enqueue('a')
    await bench.fail('a')
    await bench.advance(10)
    await bench.fail('a')
    expect(await bench.list('failed')).toMatchObject([{ key: 'a', attempts: 2 }])
  })

  it('that waits is due at once when retried', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.fail('a')
    await bench.queue.retry('k', 'a')
    await bench.settle()
    expect(bench.running).toEqual(['a'])
  })

  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    [2500, 2500],
    ['Thu, 01 Jan 1970 00:17:00 GMT', 20_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['99999999999', 24 * 60 * 60 * 1000],
    ['-5', 500],
    ['soon', 500],
    ['2026', 2_026_000],
    ['1.5', 500],
    [Number.NaN, 500]
  ])('comes back as Retry-After %j asks, not sooner', async (retryAfter, delay) => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.fail('a', new WorkFailure('busy', { retryAfter }))
    if (delay > 0) expect((await bench.queue.get('k', 'a'))?.due).toBe(bench.clock.now() + delay)
    else expect(bench.running).toEqual(['a'])
  })

  it('spreads what Retry-After brings back, by a little', async () => {
    bench.register('k')
    bench.random = 1
    await bench.enqueue('a')
    await bench.fail('a', new WorkFailure('busy', { retryAfter: '10' }))
    expect((await bench.queue.get('k', 'a'))?.due).toBe(bench.clock.now() + 11_000)
  })

  it('because it takes too long is told by its signal', async () => {
    bench.register('k', { timeoutMs: 1000 })
    await bench.enqueue('a')
    await bench.advance(999)
    expect(bench.call('a').signal.aborted).toBe(false)
    await bench.advance(1)
    expect(bench.call('a').signal.aborted).toBe(true)
    await bench.fail('a', bench.call('a').signal.reason)
    expect(await bench.queue.get('k', 'a')).toMatchObject({ state: 'waiting', attempts: 1, error: /1000 ms/ })
  })
})

describe('dropped work', () => {
  it('is forgotten', async () => {
    await bench.enqueue('a')
    expect(await bench.queue.drop('k', 'a')).toBe(true)
    expect(await bench.queue.drop('k', 'a')).toBe(false)
    expect(await bench.level.keys()).toEqual([])
    expect(bench.level.syncs).toBe(2)
  })

  it.each(['done', 'failed'])('stops its worker, and stays forgotten when that is %s', async how => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.queue.drop('k', 'a')
    expect(bench.call('a').signal.aborted).toBe(true)
    await (how === 'done' ? bench.done('a') : bench.fail('a'))
    expect(await bench.level.keys()).toEqual([])
  })

  it('may be enqueued again at once, and is then left alone', async () => {
    bench.register('k', { concurrency: 5 })
    await bench.enqueue('a', { payload: 'old' })
    await bench.queue.drop('k', 'a')
    await bench.enqueue('a', { payload: 'new' })
    expect(bench.calls.map(call => call.item.payload)).toEqual(['old'])
    await bench.fail('a')
    expect(bench.calls.map(call => [call.item.payload, call.signal.aborted])).toEqual([['new', false]])
  })
})

describe('a list', () => {
  it('is by kind and time, lazy, and of one state', async () => {
    const now = bench.clock.now()
    const work = Array.from({ length: 300 }, (_, at) => ({
      kind: at % 2 === 0 ? 'even' : 'odd',
      key: `${at}`,
      payload: at,
      due: now + ((at * 7919) % 1000)
    }))
    await bench.queue.enqueue(work)
    const byTime = (kind: string) =>
      work.filter(each => each.kind === kind).sort((a, b) => a.due - b.due || (a.key < b.key ? -1 : 1))
    const listed = await bench.list('waiting')
    expect(listed.map(item => item.payload)).toEqual([...byTime('even'), ...byTime('odd')].map(each => each.payload))
    expect((await bench.list('waiting', 'odd')).map(item => item.key)).toEqual(byTime('odd').map(each => each.key))
    expect(await bench.list('failed')).toEqual([])
    expect(await bench.list('waiting', 'eve')).toEqual([])
  })

  it('stops by the signal', async () => {
    await bench.enqueue('a')
    const items = bench.queue.list('waiting', undefined, { signal: AbortSignal.abort(new Error('enough')) })
    await expect(items.next()).rejects.toThrow('enough')
  })
})

describe('after a crash', () => {
  it('what was under way is due again, its attempt counted', async () => {
    bench.register('k')
    await bench.enqueue('a')
    bench.level.kill()
    await bench.reopen()
    expect(await bench.list('running')).toEqual([])
    bench.register('k')
    await bench.settle()
    expect(bench.call('a').item.attempts).toBe(2)
  })

  it('what dies with its process every time comes back later and later', async () => {
    bench.register('k')
    await bench.enqueue('a')
    for (const delay of [0, 500, 1000, 2000]) {
      bench.level.kill()
      await bench.reopen()
      expect((await bench.queue.get('k', 'a'))?.due).toBe(bench.clock.now() + delay)
      bench.register('k')
      await bench.advance(delay)
      expect(bench.running).toEqual(['a'])
    }
    await bench.fail('a')
    await bench.advance(1e7)
    bench.level.kill()
    await bench.reopen()
    expect((await bench.queue.get('k', 'a'))?.due).toBe(bench.clock.now())
  })

  it('a place left by a lost write is cleared away, and holds nobody up', async () => {
    bench.register('k')
    const now = bench.clock.now()
    await bench.enqueue('a', { due: now + 10 })
    await bench.advance(10)
    await bench.fail('a')
    // The lease and the failure are lost; the replacement knew of both and is kept.
    await bench.enqueue('a', { due: now + 5000 })
    const stray = `queue\0order\0waiting\0k\0${String(now + 10).padStart(16, '0')}\0a`
    await bench.level.handle().batch([{ type: 'put', key: stray, value: '' }], { sync: true })
    bench.level.kill()
    await bench.reopen()
    bench.register('k')
    await bench.enqueue('b')
    expect(bench.running).toEqual(['b'])
    await bench.done('b')
    await bench.advance(5000)
    await bench.done('a')
    expect(await bench.level.keys()).toEqual([])
  })
})

describe('a stop', () => {
  it('lets what is under way end, and begins nothing more', async () => {
    bench.register('k')
    await bench.enqueue('a')
    await bench.enqueue('b')
    const stopped = bench.queue.stop({ graceMs: 1000 })
    await bench.advance(999)
    await bench.done('a')
    await stopped
    expect(bench.calls).toEqual([])
    expect(await bench.list('waiting')).toMatchObject([{ key: 'b', attempts: 0 }])
    expect(bench.clock.alarms).toBe(0)
  })

  it('breaks off what does not end, and does not count it', async () => {
    bench.register('k')
    await bench.enqueue('a')
    const stopped = bench.queue.stop({ graceMs: 1000 })
    await bench.advance(1000)
    expect(bench.call('a').signal.aborted).toBe(true)
    await bench.fail('a', bench.call('a').signal.reason)
    await stopped
    expect(await bench.list('waiting')).toMatchObject([{ key: 'a', attempts: 0 }])
    expect((await bench.list('waiting'))[0]).not.toHaveProperty('error')
  })

  it('does not wait forever for what ignores its signal, which is due again at the next start', async () => {
    bench.register('k')
    await bench.enqueue('a')
    const stopped = bench.queue.stop({ graceMs: 1000 })
    await bench.advance(1000)
    await bench.advance(1000)
    await stopped
    bench.level.kill()
    await bench.reopen()
    expect(await bench.list('waiting')).toMatchObject([{ key: 'a' }])
  })

  it('leaves enqueuing possible', async () => {
    bench.register('k')
    await bench.queue.stop()
    await bench.enqueue('a')
    expect(await bench.list('waiting')).toHaveLength(1)
    expect(bench.calls).toEqual([])
  })

  it('is the same when repeated, and without workers', async () => {
    await bench.queue.stop()
    await bench.queue.stop()
  })
})

describe('a database that fails', () => {
  it('is tried again: nothing stays under way for good', async () => {
    bench.register('k')
    await bench.enqueue('a')
    bench.level.failure = new Error('write failed')
    await bench.done('a')
    await bench.advance(5000)
    bench.level.failure = undefined
    expect(await bench.list('running')).toHaveLength(1)
    await bench.advance(5000)
    expect(await bench.level.keys()).toEqual([])
  })

  it('lets work begin when it is well again', async () => {
    await bench.enqueue('a')
    bench.level.failure = new Error('write failed')
    bench.register('k')
    await bench.settle()
    expect(bench.running).toEqual([])
    bench.level.failure = undefined
    await bench.advance(5000)
    expect(bench.running).toEqual(['a'])
  })
})
