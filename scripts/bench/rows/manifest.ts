import type { RequestResult } from '../load/requests.ts'
import { findWrk, runWrk } from '../load/wrk.ts'
import { type Bench, type Row, runRow } from '../measure.ts'
import type { Target } from '../targets/target.ts'

const seconds = 3
const connections = 10
const repository = 'bench/manifest'

/** GET by tag over ten connections: requests a second, and the latency that one in a hundred exceeds. */
export async function manifestRows(bench: Bench): Promise<Row[]> {
  const { generator, run, signal } = bench
  const wrk = findWrk()
  for (const { origin } of bench.targets)
    await generator.transfer({ type: 'image', origin, repository, tag: run }, signal)
  const busy: number[] = []
  const results = new Map<string, RequestResult>()
  const load = async ({ origin }: Target, bounded: AbortSignal): Promise<RequestResult> => {
    const job = { origin, target: `/v2/${repository}/manifests/${run}`, connections, seconds }
    if (wrk !== undefined) return runWrk(wrk, job, bounded)
    const result = await generator.requests({ type: 'requests', ...job }, bounded)
    busy.push(result.busy)
    return result
  }
  const row = await runRow(bench, {
    name: 'manifest GET by tag, c=10',
    unit: 'req/s',
    better: 'more',
    async measure(target, round, bounded) {
      const result = await load(target, bounded)
      results.set(`${target.name}/${round}`, result)
      return result.requests / result.seconds
    }
  })
  row.notes.push(...noteOf(wrk, busy))
  const { cpu } = row
  return [
    { ...row, cpu: {} },
    derived(row, 'p99', 'ms', (name, round) => results.get(`${name}/${round}`)?.p99),
    derived(row, 'processor time a request', 'µs', (name, round) => {
      const [seconds, result] = [cpu[name]?.[round], results.get(`${name}/${round}`)]
      return seconds === undefined || result === undefined ? undefined : (seconds / result.requests) * 1e6
    })
  ]
}

/** Another quantity of the same measurements. */
function derived(row: Row, name: string, unit: string, of: (target: string, round: number) => number | undefined): Row {
  const values: Row['values'] = {}
  for (const [target, measured] of Object.entries(row.values))
    values[target] = measured.map((_, round) => of(target, round))
  return { name: `${row.name}: ${name}`, unit, better: 'less', values, cpu: {}, notes: [] }
}

export function noteOf(wrk: string | undefined, busy: readonly number[]): string[] {
  if (wrk !== undefined) return ['load by wrk, one thread']
  const most = Math.max(...busy)
  const notes = [`load by Node over raw sockets, at most ${most.toFixed(2)} of a core`]
  if (most > 0.95) notes.push('the generator was the limit: install wrk for the true figure')
  return notes
}
