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
import { startProgress } from './progress.ts'
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

async function run(options: BenchOptions, folder: string, interrupt: AbortSignal): Promise<Report> {
  const { rounds, tls } = options
  const machine = describeMachine()
  const progress = startProgress(process.stderr)
  const certificate = tls ? await makeCertificate(folder, interrupt) : undefined
  const rows: Row[] = []
  const names: string[] = []
  let missing: string[] = []
  for (const name of options.rows) {
    const parts: Row[][] = []
    // What starts servers itself, every time, needs no other.
    for (const share of name === 'start' ? [rounds] : roundsOf(rounds, options.starts)) {
      const signal = AbortSignal.any([interrupt, AbortSignal.timeout(groupLimit)])
      // Each group on fresh processes and empty folders: none inherits the other's memory, nor fills the disk.
      const own = await mkdtemp(join(folder, `${name}-`))
      const generator = new Generator()
      let targets: Targets | undefined
      try {
        targets = await startTargets({
          folder: own,
          tls: certificate,
          peers: options.peers,
          before: options.before,
          signal
        })
        if (names.length === 0) names.push(...targets.all.map(target => target.name))
        missing = targets.missing
        const run = `${process.pid}-${Date.now()}`
        const bench = { targets: targets.all, generator, rounds: share, run, folder: own, tls, progress, signal }
        parts.push(await runGroup(name, bench, targets, options))
      } catch (error) {
        // What was measured before is worth showing.
        process.exitCode = 1
        console.error(`${name}:`, error)
        if (interrupt.aborted) break
      } finally {
        progress.stop()
        await targets?.close()
        await generator.close()
        await rm(own, { recursive: true, force: true })
      }
    }
    rows.push(...mergeRows(parts))
    if (interrupt.aborted) break
  }
  return { at: new Date().toISOString().slice(0, 16), machine, tls, rounds, targets: names, missing, rows }
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
