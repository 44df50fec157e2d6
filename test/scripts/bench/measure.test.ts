import { describe, expect, it } from 'vitest'
import type { Bench, Row, Work } from '../../../scripts/bench/measure.ts'
import { mergeRows, rotated, roundsOf, runRow } from '../../../scripts/bench/measure.ts'
import type { Progress } from '../../../scripts/bench/progress.ts'

const quiet: Progress = { begin() {}, step() {}, stop() {} }
const target = (name: string) => ({ name, origin: 'http://127.0.0.1:1', close: async () => {} })

function benchOf(rounds: number, signal = new AbortController().signal): Omit<Bench, 'generator'> {
  const targets = ['a', 'b', 'c'].map(target)
  return { targets, rounds, run: 'run', folder: '', tls: false, progress: quiet, signal }
}

async function run(bench: Omit<Bench, 'generator'>, work: Partial<Work>): ReturnType<typeof runRow> {
  return runRow(bench, { name: 'work', unit: 'x', better: 'more', measure: async () => 1, ...work })
}

describe('several starts of the servers', () => {
  it('share the rounds', () => {
    expect(roundsOf(9, 3)).toEqual([3, 3, 3])
    expect(roundsOf(10, 3)).toEqual([4, 3, 3])
    expect(roundsOf(2, 1)).toEqual([2])
  })
  it('make one row of what each measured, in the order measured', () => {
    const row = (name: string, a: number, note: string): Row => ({
      name,
      unit: 's',
      better: 'less',
      values: { a: [a], b: [undefined] },
      cpu: { a: [a / 10] },
      notes: [note]
    })
    const parts = [[row('x', 1, 'one'), row('y', 2, 'two')], [row('x', 3, 'three')], []]
    expect(mergeRows(parts)).toEqual([
      {
        ...row('x', 0, ''),
        values: { a: [1, 3], b: [undefined, undefined] },
        cpu: { a: [0.1, 0.3] },
        notes: ['one', 'three']
      },
      row('y', 2, 'two')
    ])
  })
})

describe('a row', () => {
  it('warms everyone up, then gives everyone every place', async () => {
    const order: string[] = []
    await run(benchOf(3), {
      measure: async ({ name }, round) => {
        order.push(`${round}${name}`)
        return 1
      }
    })
    expect(order.slice(0, 3)).toEqual(['-1a', '-1b', '-1c'])
    expect(order.slice(3)).toEqual(['0b', '0c', '0a', '1c', '1a', '1b', '2a', '2b', '2c'])
  })
  it('counts no warm-up', async () => {
    const row = await run(benchOf(2), { measure: async (_target, round) => round })
    expect(row.values).toEqual({ a: [0, 1], b: [0, 1], c: [0, 1] })
  })
  it('prepares each measurement', async () => {
    const ready = new Set<string>()
    const key = (name: string, round: number): string => `${name}${round}`
    const row = await run(benchOf(2), {
      prepare: async ({ name }, round) => void ready.add(key(name, round)),
      measure: async ({ name }, round) => (ready.has(key(name, round)) ? 1 : 0)
    })
    expect(row.values).toEqual({ a: [1, 1], b: [1, 1], c: [1, 1] })
  })
  it('goes on after a failure, which leaves a gap and a note', async () => {
    const row = await run(benchOf(2), {
      measure: async ({ name }, round) => {
        if (name === 'b' && round === 1) throw new Error('no answer')
        return 1
      }
    })
    expect(row.values).toEqual({ a: [1, 1], b: [1, undefined], c: [1, 1] })
    expect(row.notes).toEqual(['b, round 2: no answer'])
  })
  it('ends when the run is interrupted', async () => {
    const interrupt = new AbortController()
    const measure = async (): Promise<number> => {
      interrupt.abort(new Error('interrupted'))
      throw new Error('cut')
    }
    await expect(run(benchOf(2, interrupt.signal), { measure })).rejects.toThrow('interrupted')
  })
  it('does not wait for ever', async () => {
    const row = await run(benchOf(1), {
      limit: 20,
      measure: (_target, _round, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
    expect(row.values).toEqual({ a: [undefined], b: [undefined], c: [undefined] })
  })
})

it('rotation keeps everyone', () => {
  expect(rotated([1, 2, 3], 4)).toEqual([2, 3, 1])
  expect(rotated([], 4)).toEqual([])
})
