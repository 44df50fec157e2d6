import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WorkFailure, type WorkItem, type WorkState } from '../../src/registry/ports.ts'
import { Workbench } from './workbench.ts'

const concurrency: Readonly<Record<string, number>> = { pin: 1, hook: 2 }
const kinds = Object.keys(concurrency)
const [backoffMs, maxBackoffMs, maxAttempts] = [100, 1000, 4]

interface Expected {
  payload: number
  state: WorkState
  due: number
  attempts: number
  /** Times in a row that a crash cut it short. */
  cut: number
}

/** The queue as a plain program: what is waiting, due, and being done. */
class Model {
  readonly items = new Map<string, Expected>()
  /** What is being done: the item as it was begun, or nothing any more when it was replaced or dropped meanwhile. */
  readonly running = new Map<string, Expected | undefined>()
  now: number

  constructor(now: number) {
    this.now = now
  }

  enqueue(id: string, payload: number, due: number): void {
    if (this.running.has(id)) this.running.set(id, undefined)
    this.items.set(id, { payload, state: 'waiting', due, attempts: 0, cut: 0 })
  }

  drop(id: string): boolean {
    if (this.running.has(id)) this.running.set(id, undefined)
    return this.items.delete(id)
  }

  retry(id: string): boolean {
    const item = this.items.get(id)
    if (item === undefined || item.state === 'running') return false
    Object.assign(item, { state: 'waiting', due: this.now, attempts: 0, cut: 0 })
    return true
  }

  end(id: string, how: 'done' | 'fail' | 'forever' | number): void {
    const item = this.running.get(id)
    this.running.delete(id)
    if (item === undefined) return
    item.cut = 0
    if (how === 'done') this.items.delete(id)
    else if (how === 'forever' || item.attempts >= maxAttempts) Object.assign(item, { state: 'failed', due: this.now })
    else {
      const wait = how === 'fail' ? Math.min(maxBackoffMs, backoffMs * 2 ** (item.attempts - 1)) / 2 : how
      Object.assign(item, { state: 'waiting', due: this.now + wait })
    }
  }

  crash(): void {
    for (const item of this.items.values()) {
      if (item.state !== 'running') continue
      item.cut++
      const wait = item.cut === 1 ? 0 : (1000 * 2 ** (item.cut - 2)) / 2
      Object.assign(item, { state: 'waiting', due: this.now + wait })
    }
    this.running.clear()
  }

  /** Begins what can be begun. */
  dispatch(): void {
    for (const kind of kinds) {
      const due = [...this.items]
        .filter(([id, item]) => id.startsWith(kind) && item.state === 'waiting' && item.due <= this.now)
        .sort(([a, x], [b, y]) => x.due - y.due || (a < b ? -1 : 1))
      for (const [id, item] of due) {
        const busy = [...this.running.keys()].filter(other => other.startsWith(kind)).length
        if (busy >= (concurrency[kind] ?? 0)) break
        if (this.running.has(id)) continue
        Object.assign(item, { state: 'running', due: this.now, attempts: item.attempts + 1 })
        this.running.set(id, item)
      }
    }
  }

  list(state: WorkState): object[] {
    return [...this.items]
      .filter(([, item]) => item.state === state)
      .map(([id, { payload, due, attempts }]) => ({ id, payload, due, attempts }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}

const kind = fc.constantFrom(...kinds)
const key = fc.constantFrom('a', 'b', 'c', 'd')
const wait = fc.constantFrom(0, 1, 100, 700)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('enqueue' as const), kind, key, wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'retry' as const), kind, key }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(3),
      how: fc.constantFrom('done' as const, 'fail' as const, 'fail' as const, 'forever' as const, 50, 3000)
    })
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 50, 500, 5000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'stop' as const) }) }
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const idOf = ({ kind, key }: Pick<WorkItem, 'kind' | 'key'>) => `${kind} ${key}`

function register(bench: Workbench): void {
  for (const kind of kinds)
    bench.register(kind, { concurrency: concurrency[kind] ?? 1, backoffMs, maxBackoffMs, maxAttempts })
}

function failure(how: 'fail' | 'forever' | number): Error {
  if (how === 'fail') return new Error('no')
  return new WorkFailure('no', how === 'forever' ? { permanent: true } : { retryAfter: how })
}

async function take(bench: Workbench, model: Model, step: Step, payload: number): Promise<void> {
  switch (step.do) {
    case 'enqueue': {
      const due = model.now + step.wait
      await bench.queue.enqueue([{ kind: step.kind, key: step.key, payload, due }])
      return model.enqueue(idOf(step), payload, due)
    }
    case 'drop':
      return expect(await bench.queue.drop(step.kind, step.key)).toBe(model.drop(idOf(step)))
    case 'retry':
      return expect(await bench.queue.retry(step.kind, step.key)).toBe(model.retry(idOf(step)))
    case 'end': {
      const call = bench.calls[step.which % Math.max(1, bench.calls.length)]
      if (call === undefined) return
      if (step.how === 'done') call.done()
      else call.fail(failure(step.how))
      return model.end(idOf(call.item), step.how)
    }
    case 'advance':
      model.now += step.ms
      return bench.clock.advance(step.ms)
    case 'kill':
      bench.level.kill()
      await bench.reopen()
      register(bench)
      return model.crash()
    case 'stop':
      return restart(bench, model)
  }
}

/** Everything under way is broken off and due again, uncounted. */
async function restart(bench: Workbench, model: Model): Promise<void> {
  const stopped = bench.queue.stop({ graceMs: 10 })
  await bench.settle()
  model.now += 10
  await bench.advance(10)
  for (const call of bench.calls) {
    expect(call.signal.aborted).toBe(true)
    call.fail(call.signal.reason)
  }
  await stopped
  for (const item of model.items.values())
    if (item.state === 'running')
      Object.assign(item, { state: 'waiting', due: model.now, attempts: item.attempts - 1, cut: 0 })
  model.running.clear()
  bench.level.kill()
  await bench.reopen()
  register(bench)
}

async function compare(bench: Workbench, model: Model): Promise<void> {
  await bench.settle()
  model.dispatch()
  expect(bench.calls.map(call => idOf(call.item)).sort()).toEqual([...model.running.keys()].sort())
  for (const state of ['waiting', 'running', 'failed'] as const) {
    const items = await bench.list(state)
    const seen = items.map(({ payload, due, attempts, ...item }) => ({ id: idOf(item), payload, due, attempts }))
    expect(seen.sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(model.list(state))
  }
  // A record and a place each, and nothing else.
  expect(await bench.level.keys()).toHaveLength(2 * model.items.size)
}

it('does as a plain model does, whatever is enqueued, dropped, ended, and killed in between', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const bench = await Workbench.open()
      const model = new Model(bench.clock.now())
      register(bench)
      for (const [payload, step] of steps.entries()) {
        await take(bench, model, step, payload)
        await compare(bench, model)
      }
    }),
    { numRuns: 400 }
  )
})

it('loses nothing that was acknowledged when the power goes, and gets everything done', async () => {
  const order = fc.record({ kind, key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), drop: fc.boolean(), ends: fc.nat(3) })
  const life = fc.record({
    orders: fc.array(order, { maxLength: 12 }),
    kept: fc.double({ min: 0, max: 1, noNaN: true })
  })
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async lives => {
      const bench = await Workbench.open()
      const wanted = new Map<string, number>()
      const done = new Map<string, Set<unknown>>()
      let payload = 0
      const finish = (count: number) => {
        for (const call of bench.calls.slice(0, count)) {
          const id = idOf(call.item)
          done.set(id, (done.get(id) ?? new Set()).add(call.item.payload))
          call.done()
        }
      }
      for (const { orders, kept } of lives) {
        register(bench)
        for (const { kind, key, drop, ends } of orders) {
          if (drop && (await bench.queue.drop(kind, key))) wanted.delete(idOf({ kind, key }))
          if (!drop) {
            await bench.queue.enqueue([{ kind, key, payload: ++payload }])
            wanted.set(idOf({ kind, key }), payload)
          }
          await bench.settle()
          finish(ends)
          await bench.settle()
        }
        await bench.level.cutPower(kept)
        await bench.reopen()
      }
      register(bench)
      for (let round = 0; round < 50; round++) {
        await bench.advance(1e6)
        finish(10)
      }
      await bench.settle()
      for (const [id, last] of wanted) expect([...(done.get(id) ?? [])]).toContain(last)
      for (const state of ['waiting', 'running', 'failed'] as const) expect(await bench.list(state)).toEqual([])
    }),
    { numRuns: 200 }
  )
})
