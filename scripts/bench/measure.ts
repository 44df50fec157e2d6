import type { Generator } from './load/generator.ts'
import { cpuSecondsOf } from './process-usage.ts'
import type { Progress } from './progress.ts'
import type { Target } from './targets/target.ts'

/** What every row needs to run. */
export interface Bench {
  targets: readonly Target[]
  generator: Generator
  /** Interleaved rounds a row. */
  rounds: number
  /** Tells this run's content from that of every other. */
  run: string
  /** Folder for what is made on the way; removed at the end. */
  folder: string
  tls: boolean
  progress: Progress
  signal: AbortSignal
}

export interface Row {
  /** What was measured, e.g. `push 512 MiB, c=1`. */
  name: string
  unit: string
  better: 'more' | 'less'
  /** By target; `undefined` where the round failed. */
  values: Record<string, (number | undefined)[]>
  /** Processor seconds of the server, all its threads, for the same work; absent where the process is not ours to look at. */
  cpu: Record<string, (number | undefined)[]>
  /** What has to be known to read the figures. */
  notes: string[]
}

export interface Work {
  name: string
  unit: string
  better: 'more' | 'less'
  /** ms one measurement may take, its preparation included. Default 180,000. */
  limit?: number
  /** What is not measured: fresh content for this round. */
  prepare?(target: Target, round: number, signal: AbortSignal): Promise<void>
  /** What the measurement left behind and nobody needs. Called in every case. */
  cleanUp?(target: Target, round: number): Promise<void>
  /** The figure in `unit`. */
  measure(target: Target, round: number, signal: AbortSignal): Promise<number>
}

/** Joins the rows of one name, which were measured on servers started several times: all values in one row. */
export function mergeRows(parts: readonly (readonly Row[])[]): Row[] {
  const merged = new Map<string, Row>()
  for (const row of parts.flat()) {
    const { name, values, cpu, notes } = row
    const before = merged.get(name)
    merged.set(
      name,
      before === undefined
        ? row
        : {
            ...before,
            values: joined(before.values, values),
            cpu: joined(before.cpu, cpu),
            notes: [...before.notes, ...notes]
          }
    )
  }
  return [...merged.values()]
}

function joined(first: Row['values'], second: Row['values']): Row['values'] {
  const names = new Set([...Object.keys(first), ...Object.keys(second)])
  return Object.fromEntries([...names].map(name => [name, [...(first[name] ?? []), ...(second[name] ?? [])]]))
}

/** The rounds divided among the starts of the servers, at least one each. `starts` is at most `rounds`. */
export function roundsOf(rounds: number, starts: number): number[] {
  return Array.from({ length: starts }, (_, start) => Math.floor((rounds + starts - 1 - start) / starts))
}

/** The targets of a round, in an order that gives everyone every place. */
export function rotated<Item>(items: readonly Item[], round: number): Item[] {
  const shift = items.length === 0 ? 0 : round % items.length
  return [...items.slice(shift), ...items.slice(0, shift)]
}

/**
 * Runs a row: one round that is not counted, so that nobody's caches and compilers are cold, then A B C, B C A, … A
 * measurement that fails is noted and the others go on.
 */
export async function runRow(bench: Omit<Bench, 'generator'>, work: Work): Promise<Row> {
  const { targets, rounds, progress, signal } = bench
  const row: Row = { name: work.name, unit: work.unit, better: work.better, values: {}, cpu: {}, notes: [] }
  for (const { name } of targets) {
    row.values[name] = []
    row.cpu[name] = []
  }
  progress.begin(work.name, (rounds + 1) * targets.length)
  for (let round = -1; round < rounds; round++) {
    for (const target of rotated(targets, round + 1)) {
      signal.throwIfAborted()
      progress.step(`${round < 0 ? 'warm-up' : `round ${round + 1}`}, ${target.name}`)
      const sample = await measureOnce(work, target, round, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        row.notes.push(`${target.name}, round ${round + 1}: ${error instanceof Error ? error.message : String(error)}`)
      })
      if (round < 0) continue
      row.values[target.name]?.push(sample?.value)
      row.cpu[target.name]?.push(sample?.cpu)
    }
  }
  return row
}

async function measureOnce(
  work: Work,
  target: Target,
  round: number,
  signal: AbortSignal
): Promise<{ value: number; cpu: number | undefined }> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(work.limit ?? 180_000)])
  try {
    await work.prepare?.(target, round, bounded)
    const before = await cpuSecondsOf(target.pid)
    const value = await work.measure(target, round, bounded)
    const after = await cpuSecondsOf(target.pid)
    return { value, cpu: before === undefined || after === undefined ? undefined : after - before }
  } finally {
    await work.cleanUp?.(target, round)
  }
}
