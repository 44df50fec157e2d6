import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { RequestResult } from '../load/requests.ts'
import { findWrk, runWrk } from '../load/wrk.ts'
import { type Bench, type Row, runRow } from '../measure.ts'
import { ratios, summarize } from '../statistics.ts'
import { startGuardedNode } from '../targets/guarded.ts'
import type { Target } from '../targets/target.ts'
import { noteOf } from './manifest.ts'

const seconds = 3
const connections = 10
const repository = 'bench/signed-in'

/** Ways to ask, the first of which the others are compared with. */
const ways = ['open node', 'anonymous', 'bearer token', 'Basic'] as const
type Way = (typeof ways)[number]

/**
 * GET by tag on one node with access rules, asked by nobody, with a bearer token and with a password; and on a node that asks
 * nobody anything. Ours alone.
 */
export async function signedInRows(bench: Bench): Promise<Row[]> {
  const { generator, run, signal } = bench
  const [open] = bench.targets
  if (open === undefined) throw new Error('no node')
  const folder = join(bench.folder, 'guarded')
  await mkdir(folder)
  const { node, basic, bearer } = await startGuardedNode(folder, signal)
  try {
    for (const origin of [open.origin, node.url]) {
      await generator.transfer({ type: 'image', origin, repository, tag: run }, signal)
    }
    const wrk = findWrk()
    const busy: number[] = []
    const authorization = new Map<string, string>()
    const targets = ways.map(
      (name): Target => ({
        ...(name === 'open node' ? open : { origin: node.url, pid: node.pid }),
        name,
        close: async () => {}
      })
    )
    const load = async ({ name, origin }: Target, bounded: AbortSignal): Promise<RequestResult> => {
      const header = authorization.get(name)
      const job = { origin, target: `/v2/${repository}/manifests/${run}`, connections, seconds }
      const asked = { ...job, ...(header !== undefined && { headers: { Authorization: header } }) }
      if (wrk !== undefined) return runWrk(wrk, asked, bounded)
      const result = await generator.requests({ type: 'requests', ...asked }, bounded)
      busy.push(result.busy)
      return result
    }
    const row = await runRow(
      { ...bench, targets },
      {
        name: 'manifest GET by tag, c=10',
        unit: 'req/s',
        better: 'more',
        async prepare({ name }) {
          if (name === 'bearer token') authorization.set(name, await bearer(repository))
          if (name === 'Basic') authorization.set(name, basic)
        },
        async measure(target, _round, bounded) {
          const result = await load(target, bounded)
          return result.requests / result.seconds
        }
      }
    )
    return byWay(row, open.name, noteOf(wrk, busy))
  } finally {
    await node.close()
  }
}

/** One row a way, in our own column, with its ratio to asking without. */
function byWay(row: Row, ours: string, notes: string[]): Row[] {
  return ways.slice(1).map(way => {
    const compared = ways.slice(0, ways.indexOf(way)).filter(other => other !== 'bearer token')
    return {
      ...row,
      name: `${row.name}, access rules, ${way}`,
      values: { [ours]: row.values[way] ?? [] },
      cpu: { [ours]: row.cpu[way] ?? [] },
      notes: [
        ...compared.map(other => ratioNote(row, way, other)),
        ...(way === 'anonymous' ? [...row.notes, ...notes] : [])
      ]
    }
  })
}

function ratioNote(row: Row, way: Way, other: Way): string {
  const rates = ratios(row.values[way] ?? [], row.values[other] ?? [], 'more')
  if (rates.length === 0) return `${way} : ${other}: no round succeeded`
  const { median, q1, q3 } = summarize(rates)
  const times = ratios(perRequest(row, way), perRequest(row, other), 'more')
  const spent = summarize(perRequest(row, way).filter(value => value !== undefined)).median
  const more = `${spent.toFixed(1)} µs of processor time a request, ${summarize(times).median.toFixed(2)} of the other`
  return `${way} : ${other} = ${median.toFixed(2)} (${q1.toFixed(2)}–${q3.toFixed(2)}); ${more}`
}

/** µs of the server's processor time, round by round: what other load on the machine changes least. */
function perRequest({ cpu, values }: Row, way: Way): (number | undefined)[] {
  return (values[way] ?? []).map((rate, round) => {
    const spent = cpu[way]?.[round]
    return rate === undefined || spent === undefined ? undefined : (spent / (rate * seconds)) * 1e6
  })
}
