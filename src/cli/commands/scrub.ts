import type { Damage, Incomplete, ScrubReport } from '../../registry/registry.ts'
import { connect } from '../connect.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import { type Progress, startProgress } from '../progress.ts'
import type { Shell } from '../shell.ts'
import { count, type Output, paint, printable, showBytes } from '../terminal.ts'

interface ScrubArguments {
  repair?: boolean
  json?: boolean
}

export const registerScrub: Register = (program, shellFor, done) => {
  program
    .command('scrub')
    .description('hash every blob and manifest again, name the images that what is lost hurts, and what mends them')
    .option('--repair', 'mend what can be mended without the bytes: index again, move strays to quarantine/')
    .option(
      '--json',
      'one JSON object a line: {damage: {digest, kind, problem, repaired, images, since?, quarantined?, sound?}}…, {incomplete: {image, foreign, absent}}…, at last {report: {blobs, manifests, bytes, damages, incomplete, quarantine}}'
    )
    .addHelpText(
      'after',
      `
Ends with 5 as long as damage is left: what was here and is lost counts until it is pushed again, or deleted.
What was never pushed, or is a foreign layer, is listed as incomplete and is no damage.
crane, oras and regctl send no layers of an image whose manifest is here: with them, remove the image first (rm).

Examples:
  pinnace scrub
  pinnace scrub --repair --json`
    )
    .action(async (options: ScrubArguments, command) => {
      done(await scrub(shellFor(command), options))
    })
}

async function scrub(shell: Shell, { repair, json }: ScrubArguments): Promise<ExitCode> {
  const { out, err } = shell.terminal
  await using operations = await connect(shell)
  const progress = startProgress(err, 'Scrubbing')
  let left = 0
  /** Whether an image is to be pushed again. */
  let push = false
  try {
    const report = await operations.scrub({
      signal: shell.signal,
      ...(repair === undefined ? {} : { repair }),
      onProgress: now => progress.update(summary(now)),
      onDamage: damage => {
        if (!damage.repaired) left++
        push ||= !damage.repaired && damage.images.length > 0
        out.write(json ? `${JSON.stringify({ damage })}\n` : describe(out, progress, damage))
      },
      onIncomplete: incomplete => {
        progress.clear()
        out.write(`${json ? JSON.stringify({ incomplete }) : describeIncomplete(incomplete)}\n`)
      }
    })
    progress.stop()
    out.write(json ? `${JSON.stringify({ report })}\n` : describeReport(report, { left, push }))
    return left === 0 ? exitCodes.ok : exitCodes.damaged
  } finally {
    progress.stop()
  }
}

const problems: Record<Damage['problem'], string> = {
  corrupt: 'does not hash to its digest',
  missing: 'is gone from the disk',
  unindexed: 'is on the disk but not in the index',
  stray: 'is a file that no record names'
}

function describe(out: Output, progress: Progress, damage: Damage): string {
  // The redrawn line would otherwise be left in the middle of what follows.
  progress.clear()
  const { digest, problem, repaired, since, quarantined, images } = damage
  const found = since === undefined ? '' : `, found ${new Date(since).toISOString().replace(/\.\d+Z$/, 'Z')}`
  const head = `${digest} ${problems[problem]}${found}${repaired ? ', repaired' : ''}`
  const lines = [paint(out, repaired ? 'yellow' : 'red', head)]
  if (quarantined !== undefined) lines.push(`  moved to ${printable(quarantined)}`)
  for (const image of images) lines.push(`  needed by ${printable(image)}`)
  const advice = adviceFor(damage)
  if (advice !== undefined) lines.push(`  ${advice}`)
  return `${lines.join('\n')}\n`
}

/** What to do; `undefined` when there is nothing left to do. */
function adviceFor({ problem, repaired, sound, images }: Damage): string | undefined {
  if (problem === 'stray') {
    if (sound === true)
      return 'its bytes are whole: restoring metadata/ from a backup, or pushing its image, takes it back'
    return repaired ? undefined : 'its bytes do not hash to its name either; --repair moves it to quarantine/'
  }
  if (repaired) return undefined
  if (problem === 'unindexed') return '--repair writes the index again'
  const [first, ...others] = images
  if (first === undefined) return 'no image needs it: push it again, or garbage collection forgets it'
  return others.length === 0 ? `push ${printable(first)} again` : `push ${printable(first)} or another of them again`
}

function describeIncomplete({ image, foreign, absent }: Incomplete): string {
  const parts = [
    ...(absent === 0 ? [] : [`${count(absent, 'part was', 'parts were')} never pushed`]),
    ...(foreign === 0 ? [] : [`${count(foreign, 'foreign layer is', 'foreign layers are')} kept elsewhere`])
  ]
  return `incomplete: ${printable(image)}: ${parts.join(', ')}`
}

function describeReport(report: ScrubReport, { left, push }: { left: number; push: boolean }): string {
  const { incomplete, quarantine } = report
  const parts = [
    `checked ${summary(report)}`,
    ...(left === 0 ? [] : [`${left} not repaired`]),
    ...(incomplete === 0 ? [] : [`${count(incomplete, 'incomplete image')}`])
  ]
  const lines = [parts.join(', ')]
  if (quarantine.files > 0)
    lines.push(
      `quarantine/ holds ${count(quarantine.files, 'file')} (${showBytes(quarantine.bytes)}): see pinnace quarantine ls`
    )
  if (push) lines.push(beforeOthersPush)
  return `${lines.join('\n')}\n`
}

/** They ask for the manifest first, and are told that it is here. */
const beforeOthersPush =
  'docker, podman and skopeo push what is missing; crane, oras and regctl only after: pinnace rm REPOSITORY@DIGEST (removes its tags too; "pinnace inspect IMAGE" prints the digest)'

function summary({ blobs, manifests, bytes, damages }: Readonly<ScrubReport>): string {
  return `${count(blobs, 'blob')}, ${count(manifests, 'manifest')} (${showBytes(bytes)}), ${damages} damaged`
}
