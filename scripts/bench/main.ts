/**
 * `npm run bench`: this node against the registries that are installed here. See docs/benchmarks.md.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { Generator } from './load/generator.ts'
import { describeMachine } from './machine.ts'
import { type Bench, mergeRows, type Row, roundsOf } from './measure.ts'
import { type BenchOptions, parseOptions, type RowName } from './options.ts'
import { type Progress, startProgress } from './progress.ts'
import { type Report, renderReport } from './report.ts'
import { manifestRows } from './rows/manifest.ts'
import { memoryRows } from './rows/memory.ts'
import { mixedRows } from './rows/mixed.ts'
import { pullRows } from './rows/pull.ts'
import { pushRows } from './rows/push.ts'
import { signedInRows } from './rows/signed-in.ts'
import { startRows } from './rows/start.ts'
import { makeCertificate } from './targets/certificate.ts'
import { startTargets, type Targets } from './targets/start.ts'
import type { Certificate } from './targets/target.ts'

/** ms that all measurements of one group of rows may take together. */
const groupLimit = 20 * 60_000

async function runGroup(name: RowName, bench: Bench, targets: Targets, options: BenchOptions): Promise<Row[]> {
  switch (name) {
    case 'push':
      return pushRows(bench)
    case 'pull':
      return pullRows(bench)
    case 'manifest':
      return [...(await manifestRows(bench)), ...(await signedInRows(bench))]
    case 'mixed':
      return mixedRows(bench, targets.nodes)
    case 'memory':
      return memoryRows(bench, targets.nodes, options.size)
    case 'start':
      return startRows(bench, targets.nodes)
  }
}

/** What all groups of rows of a run share. */
interface Run {
  options: BenchOptions
  folder: string
  certificate: Certificate | undefined
  progress: Progress
  interrupt: AbortSignal
}

interface Measured {
  rows: Row[]
  targets: string[]
  missing: string[]
}

/** One group of rows on fresh processes and empty folders: none inherits the memory of another, nor fills the disk. */
async function measureGroup(name: RowName, rounds: number, run: Run): Promise<Measured> {
  const { options, progress, certificate } = run
  const signal = AbortSignal.any([run.interrupt, AbortSignal.timeout(groupLimit)])
  const folder = await mkdtemp(join(run.folder, `${name}-`))
  const generator = new Generator()
  let targets: Targets | undefined
  try {
    const { peers, before, tls } = options
    targets = await startTargets({ folder, tls: certificate, peers, before, signal })
    const id = `${process.pid}-${Date.now()}`
    const bench = { targets: targets.all, generator, rounds, run: id, folder, tls, progress, signal }
    const rows = await runGroup(name, bench, targets, options)
    return { rows, targets: targets.all.map(target => target.name), missing: targets.missing }
  } finally {
    progress.stop()
    await targets?.close()
    await generator.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(options: BenchOptions, folder: string, interrupt: AbortSignal): Promise<Report> {
  const { rounds, starts, tls } = options
  const machine = describeMachine()
  const progress = startProgress(process.stderr)
  const certificate = tls ? await makeCertificate(folder, interrupt) : undefined
  const measured: Measured[] = []
  // The rows "start" start their servers themselves, in every round.
  const groups = options.rows.flatMap(name =>
    (name === 'start' ? [rounds] : roundsOf(rounds, starts)).map(share => ({ name, share }))
  )
  for (const { name, share } of groups) {
    try {
      measured.push(await measureGroup(name, share, { options, folder, certificate, progress, interrupt }))
    } catch (error) {
      // What was measured before is worth showing.
      process.exitCode = 1
      console.error(`${name}:`, error)
      if (interrupt.aborted) break
    }
  }
  const { targets = [], missing = [] } = measured[0] ?? {}
  const rows = mergeRows(measured.map(part => part.rows))
  return { at: new Date().toISOString().slice(0, 16), machine, tls, rounds, targets, missing, rows }
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')))
  process.once('SIGTERM', () => interrupted.abort(new Error('interrupted')))
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-bench-'))
  try {
    const report = await run(options, folder, interrupted.signal)
    if (report.rows.length > 0) console.log(renderReport(report))
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    console.error(error)
    process.exitCode = 1
  }
}
