import { readDuration, showDuration } from '../../config/duration.ts'
import type { GcOptions, GcReport } from '../../registry/registry.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { CommandFailure } from '../explain.ts'
import type { Register } from '../program.ts'
import { startProgress } from '../progress.ts'
import type { Shell } from '../shell.ts'
import { count, paint, showBytes } from '../terminal.ts'

interface GcArguments {
  dryRun?: boolean
  grace?: string
  force?: boolean
  untagged?: string
  deleteUntagged?: boolean
  json?: boolean
}

const helpText = `
What was pushed or mounted within ipfs.gc.grace (24h) stays, and so do manifests
without a tag, unless ipfs.gc.untagged says how long they are kept. The answer
says how much was spared for which of the two. Durations are written 15m, 24h, 720h.

While the node serves, --grace spares the last 15m at least: a push that takes
longer than the grace may lose layers it has sent, ends with MANIFEST_BLOB_UNKNOWN
and has to be repeated. --force takes them all the same.

--untagged 0s takes manifests however short ago they lost their tag; those pushed
within the grace stay. --delete-untagged is the same. Pulls by digest are noted once
a day: with less than 24h, a manifest may go that was pulled since.

Examples:
  pinnace gc --dry-run
  pinnace gc --grace 1h
  pinnace gc --untagged 720h`

export const registerGc: Register = (program, shellFor, done) => {
  program
    .command('gc')
    .description('free the bytes that no manifest needs; safe beside pushes')
    .option('--dry-run', 'say what would go, remove nothing')
    .option('--grace <duration>', 'spare what was pushed or mounted so long ago; default ipfs.gc.grace')
    .option('--force', 'with --grace: also less than 15m while the node serves')
    .option(
      '--untagged <duration>',
      'delete manifests that no tag, image index or subject led to for so long; default ipfs.gc.untagged'
    )
    .option('--delete-untagged', 'as --untagged 0s')
    .option(
      '--json',
      'one JSON object: dryRun, links, manifests, blobs, bytes, spared {recent, untagged}, serving, graceMs, untaggedMs, atLeast'
    )
    .addHelpText('after', helpText)
    .action(async (options: GcArguments, command) => {
      await gc(shellFor(command), options)
      done(exitCodes.ok)
    })
}

async function gc(shell: Shell, given: GcArguments): Promise<void> {
  const { err, out } = shell.terminal
  const options = optionsOf(given)
  await using operations = await connect(shell)
  const progress = startProgress(err, 'Collecting garbage')
  try {
    const report = await operations.collectGarbage({
      ...options,
      signal: shell.signal,
      onWait: manifests =>
        progress.update(`first reading the manifests that an earlier version stored: ${manifests} so far`),
      onProgress: now => progress.update(freed(now))
    })
    progress.stop()
    for (const note of notesOn(report, options)) err.write(`${paint(err, 'yellow', 'pinnace:')} ${note}\n`)
    out.write(given.json ? `${JSON.stringify(report)}\n` : describe(report))
  } finally {
    progress.stop()
  }
}

/** @throws {CommandFailure} `usage` */
function optionsOf({ dryRun, grace, force, untagged, deleteUntagged }: GcArguments): GcOptions {
  if (force && grace === undefined)
    throw new CommandFailure(exitCodes.usage, '--force belongs to --grace: pass both, such as --grace 0s --force')
  if (deleteUntagged && untagged !== undefined)
    throw new CommandFailure(exitCodes.usage, '--delete-untagged is --untagged 0s: pass one of them')
  const age = deleteUntagged ? '0s' : untagged
  return {
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(grace === undefined ? {} : { graceMs: durationOf('--grace', grace) }),
    ...(force === undefined ? {} : { force }),
    ...(age === undefined ? {} : { untaggedMs: durationOf('--untagged', age) })
  }
}

function durationOf(option: string, text: string): number {
  const milliseconds = readDuration(text)
  if (milliseconds !== undefined) return milliseconds
  const write = 'write one such as 15m, 24h or 720h; days are no unit'
  throw new CommandFailure(exitCodes.usage, `${option}: ${JSON.stringify(text)} is not a duration; ${write}`)
}

/** What is not as somebody may have meant it. */
function* notesOn(report: GcReport, { graceMs, force, untaggedMs }: GcOptions): Generator<string> {
  const lost = 'ends with MANIFEST_BLOB_UNKNOWN and has to be repeated'
  const inForce = showDuration(report.graceMs)
  if (graceMs !== undefined && report.graceMs > graceMs)
    yield `the node serves, so what was pushed or mounted in the last ${inForce} was spared; with --force it goes too, and a push under way may lose its layers: it ${lost}`
  else if (force && report.serving && !report.dryRun)
    yield `a push under way may have lost layers that it sent more than ${inForce} ago: it ${lost}`
  if (graceMs === undefined) yield* unheeded('REGISTRY_IPFS_GC_GRACE', report.graceMs, '--grace')
  if (untaggedMs === undefined) yield* unheeded('REGISTRY_IPFS_GC_UNTAGGED', report.untaggedMs ?? 0, '--untagged')
}

/** A variable of this command's that would have counted at the node's start. */
function* unheeded(variable: string, inForce: number, option: string): Generator<string> {
  const text = process.env[variable]
  const wanted = text === undefined ? undefined : readDuration(text)
  if (wanted === undefined || wanted === inForce) return
  yield `${variable} is read when a node starts, and the running one has ${showDuration(inForce)}: pass ${option} ${text}`
}

function describe(report: GcReport): string {
  const { dryRun, atLeast } = report
  const text = `${dryRun ? 'would free' : 'freed'} ${dryRun && atLeast ? 'at least ' : ''}${freed(report)}\n`
  const spared = [...sparedFor(report)]
  return spared.length === 0 ? text : `${text}spared ${atLeast ? 'at least ' : ''}${spared.join('; ')}\n`
}

function freed({ blobs, bytes, manifests, links }: Readonly<GcReport>): string {
  return `${count(blobs, 'blob')} (${showBytes(bytes)}), ${count(links, 'link')}, ${count(manifests, 'manifest')}`
}

function* sparedFor({ spared: { recent, untagged }, graceMs, untaggedMs }: GcReport): Generator<string> {
  if (recent.blobs > 0 || recent.manifests > 0) {
    const manifests = recent.manifests === 0 ? '' : `, including ${count(recent.manifests, 'untagged manifest')}`
    yield `${showBytes(recent.bytes)}: pushed within ${showDuration(graceMs)}${manifests}`
  }
  if (untagged.blobs === 0 && untagged.manifests === 0) return
  const kept = untaggedMs === null ? '' : ` used within ${showDuration(untaggedMs)}`
  yield `${showBytes(untagged.bytes)}: ${count(untagged.manifests, 'untagged manifest')}${kept} (pinnace ls --untagged lists them)`
}
