import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startProgram } from '../../../test/interop/daemon.ts'
import type { Bench, Row } from '../measure.ts'
import { memoryOf } from '../process-usage.ts'
import { slope } from '../statistics.ts'
import type { PinnaceTarget } from '../targets/pinnace.ts'
import { freeBlob, type Target } from '../targets/target.ts'

const repository = 'bench/memory'
/** ms until a process that was just started has stopped allocating. */
const settling = 10_000
const sampling = 200

interface Sample {
  /** GiB pushed or pulled so far, by the clock: the flow is steady. */
  x: number
  /** MB resident. */
  y: number
}

/** Memory of every server at rest, and of our nodes while one blob of so many GiB is pushed and pulled. */
export async function memoryRows(bench: Bench, nodes: readonly PinnaceTarget[], gibibytes: number): Promise<Row[]> {
  const { progress, signal, targets } = bench
  progress.begin('RSS idle', 2)
  progress.step('waiting until everyone has settled')
  await delay(settling, undefined, { signal })
  const idle = rowOf('RSS idle')
  for (const { name, pid } of targets) idle.values[name] = [pid === undefined ? undefined : (await memoryOf(pid))?.rss]
  progress.step('bare Helia')
  const bare = await bareHelia(signal)
  idle.notes.push(`a bare Helia with the same libp2p modules and nothing else: ${bare.toFixed(0)} MB`)
  const rows = (['push', 'pull'] as const).map(way => rowOf(`RSS, highest during ${way} of ${gibibytes} GiB`))
  for (const node of nodes) await underLoad(bench, node, gibibytes, rows)
  return [idle, ...rows]
}

/** Fills `rows`, that of pushing and that of pulling. */
async function underLoad(bench: Bench, node: PinnaceTarget, gibibytes: number, rows: readonly Row[]): Promise<void> {
  const { generator, progress, run, signal } = bench
  const { origin } = node
  const size = gibibytes * 2 ** 30
  let digest = ''
  progress.begin(`RSS during ${gibibytes} GiB, ${node.name}`, rows.length)
  for (const [index, row] of rows.entries()) {
    const push = index === 0
    progress.step(push ? 'push' : 'pull')
    const blobs = [{ seed: `${run}/memory`, size }]
    const work = push
      ? generator.transfer({ type: 'push', origin, repository, blobs, form: 'chunked', connections: 1 }, signal)
      : generator.transfer({ type: 'pull', origin, repository, digest, size, connections: 1 }, signal)
    const { samples, result } = await sampled(node, work, gibibytes)
    digest = result.digests[0] ?? digest
    describe(row, node, samples, size / 1e6 / result.seconds)
  }
  await freeBlob(node, repository, digest)
}

async function sampled<Result>(
  target: Target & { pid?: number },
  work: Promise<Result>,
  gibibytes: number
): Promise<{ samples: Sample[]; result: Result }> {
  const taken: { at: number; rss: number }[] = []
  const over = new AbortController()
  const sampler = (async () => {
    while (!over.signal.aborted) {
      const memory = target.pid === undefined ? undefined : await memoryOf(target.pid)
      if (memory !== undefined) taken.push({ at: performance.now(), rss: memory.rss })
      await delay(sampling, undefined, { signal: over.signal }).catch(() => undefined)
    }
  })()
  try {
    const result = await work
    const [first] = taken
    const span = performance.now() - (first?.at ?? 0)
    const samples = taken.map(({ at, rss }) => ({ x: ((at - (first?.at ?? 0)) / span) * gibibytes, y: rss }))
    return { samples, result }
  } finally {
    over.abort()
    await sampler
  }
}

/** Flat is what the second half says: the first fills buffers, caches and the heap's new space. */
function describe(row: Row, { name }: Target, samples: readonly Sample[], speed: number): void {
  row.values[name] = [Math.max(...samples.map(sample => sample.y))]
  const growth = slope(samples.slice(Math.floor(samples.length / 2)))
  const shown = `${growth >= 0 ? '+' : ''}${growth.toFixed(2)} MB per GiB in the second half`
  row.notes.push(`${name}: ${shown}, ${samples.length} samples, ${speed.toFixed(0)} MB/s`)
}

function rowOf(name: string): Row {
  return { name, unit: 'MB', better: 'less', values: {}, cpu: {}, notes: [] }
}

async function bareHelia(signal: AbortSignal): Promise<number> {
  const entry = fileURLToPath(new URL('../bare-helia.ts', import.meta.url))
  const daemon = await startProgram(process.execPath, [entry], { ready: /^listening/, signal })
  try {
    await delay(settling, undefined, { signal })
    return (await memoryOf(daemon.pid))?.rss ?? Number.NaN
  } finally {
    await daemon.stop()
  }
}
