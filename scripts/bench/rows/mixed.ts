import { createWriteStream } from 'node:fs'
import { findTool } from '../../../test/interop/find.ts'
import { type Kubo, startKubo } from '../../../test/interop/kubo.ts'
import { Connection } from '../load/connection.ts'
import type { RequestResult } from '../load/requests.ts'
import { type Bench, type Row, runRow, type Work } from '../measure.ts'
import type { PinnaceTarget } from '../targets/pinnace.ts'
import type { Target } from '../targets/target.ts'

const size = 1 << 30
const connections = 10
const repository = 'bench/mixed'

/**
 * What a client that asks for manifests feels while a peer drains a blob by bitswap: nodes only, no other registry has such
 * peers. Once at a rate a busy registry sees, latency counted from when each request was due, and once as fast as the
 * node answers, where latency is mostly the queue that ten impatient clients make.
 */
export async function mixedRows(bench: Bench, nodes: readonly PinnaceTarget[]): Promise<Row[]> {
  if (findTool('ipfs') === undefined) {
    bench.progress.begin('mixed: Kubo is not installed (test/interop/tools/build kubo)', 0)
    return []
  }
  const { generator, run, signal } = bench
  for (const { origin } of nodes) await generator.transfer({ type: 'image', origin, repository, tag: run }, signal)
  const own = { ...bench, targets: nodes }
  const nodeOf = (target: Target): PinnaceTarget => {
    const node = nodes.find(({ name }) => name === target.name)
    if (node === undefined) throw new Error(`${target.name} is no node of ours`)
    return node
  }
  const drained = new Map<string, number[]>(nodes.map(({ name }) => [name, []]))
  const draining = (name: string, rate: number | undefined): Work => ({
    name,
    unit: 'ms',
    better: 'less',
    measure: async (target, round, bounded) => {
      const { latency, megabytes } = await drainUnderLoad(bench, nodeOf(target), `${name}/${round}`, rate, bounded)
      if (round >= 0) drained.get(target.name)?.push(megabytes)
      return latency.p99
    }
  })
  const idle = await runRow(own, {
    name: 'manifest p99, 100/s on each of 10, nothing else',
    unit: 'ms',
    better: 'less',
    measure: async (target, _round, bounded) =>
      (await generator.requests({ type: 'requests', ...load(target, run, 100), seconds: 3 }, bounded)).p99
  })
  const paced = await runRow(own, draining('manifest p99, 100/s on each of 10, Kubo draining 1 GiB', 100))
  paced.notes.push(...notesOf(drained))
  const flatOut = await runRow(own, draining('manifest p99, c=10 flat out, Kubo draining 1 GiB', undefined))
  flatOut.notes.push(...notesOf(drained))
  return [idle, paced, flatOut]
}

/** One note a node; the rates are taken out. */
function notesOf(drained: ReadonlyMap<string, number[]>): string[] {
  return [...drained].map(([name, rates]) => {
    const shown = rates.splice(0).map(value => value.toFixed(0))
    return `Kubo fetched from ${name} at ${shown.join(', ')} MB/s meanwhile`
  })
}

function load(ours: Target, tag: string, rate: number | undefined) {
  const target = `/v2/${repository}/manifests/${tag}`
  return { origin: ours.origin, target, connections, ...(rate !== undefined && { rate }) }
}

async function drainUnderLoad(
  bench: Bench,
  ours: PinnaceTarget,
  seed: string,
  rate: number | undefined,
  signal: AbortSignal
): Promise<{ latency: RequestResult; megabytes: number }> {
  const { generator, run } = bench
  const blobs = [{ seed: `${run}/${seed}`, size }]
  const pushed = await generator.transfer(
    { type: 'push', origin: ours.origin, repository, blobs, form: 'length', connections: 1 },
    signal
  )
  const path = await ipfsPathOf(ours.origin, pushed.digests[0] ?? '')
  // A Kubo for each round, so that none of the blocks is there already.
  const kubo = await startKubo({ signal })
  const done = new AbortController()
  try {
    await connect(kubo, ours)
    const loading = generator.requests(
      { type: 'requests', ...load(ours, run, rate), seconds: 150 },
      signal,
      done.signal
    )
    const start = performance.now()
    await kubo.ipfs(['cat', path], { output: createWriteStream('/dev/null'), timeout: 150_000, signal })
    const seconds = (performance.now() - start) / 1000
    done.abort()
    return { latency: await loading, megabytes: size / 1e6 / seconds }
  } finally {
    done.abort()
    await kubo.close()
  }
}

async function connect(kubo: Kubo, ours: PinnaceTarget): Promise<void> {
  const [address] = (await ours.node.id()).multiaddrs
  if (address === undefined) throw new Error('this node has no address for peers')
  await kubo.connect(address)
}

async function ipfsPathOf(origin: string, digest: string): Promise<string> {
  const connection = await Connection.open(origin)
  try {
    const headers = { Range: 'bytes=0-0' }
    const response = await connection.request('GET', `/v2/${repository}/blobs/${digest}`, { headers })
    const path = response.headers.get('x-ipfs-path')
    if (path === undefined) throw new Error(`no X-Ipfs-Path on ${digest}`)
    return path
  } finally {
    connection.close()
  }
}
