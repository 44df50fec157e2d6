import type { Damage, ScrubReport } from '../../registry/registry.ts'
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
    .description('hash every blob and manifest again, put aside what rotted and say which images it hurt')
    .option('--repair', 'mend what can be mended without the bytes: index again, remove strays')
    .option(
      '--json',
      'one JSON object a line: {damage: {digest, problem, repaired, quarantined?, images}}…, at last {report: {blobs, manifests, bytes, damages}}'
    )
    .addHelpText(
      'after',
      '\nEnds with 5 when damage is left. A rotten blob is put right by pushing it again.\n\nExamples:\n  pinnace scrub\n  pinnace scrub --repair --json'
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
  try {
    const report = await operations.scrub({
      signal: shell.signal,
      ...(repair === undefined ? {} : { repair }),
      onProgress: now => progress.update(summary(now)),
      onDamage: damage => {
        if (!damage.repaired) left++
        out.write(json ? `${JSON.stringify({ damage })}\n` : describe(out, progress, damage))
      }
    })
    progress.stop()
    out.write(
      `${json ? JSON.stringify({ report }) : `checked ${summary(report)}${left === 0 ? '' : `, ${left} not repaired`}`}\n`
    )
    return left === 0 ? exitCodes.ok : exitCodes.damaged
  } finally {
    progress.stop()
  }
}

const problems: Record<Damage['problem'], string> = {
  corrupt: 'does not hash to its digest',
  missing: 'is gone from the disk',
  unindexed: 'is on the disk but not in the index',
  stray: 'is a file that nothing names'
}

function describe(out: Output, progress: Progress, damage: Damage): string {
  // The redrawn line would otherwise be left in the middle of what follows.
  progress.clear()
  const head = `${damage.digest} ${problems[damage.problem]}${damage.repaired ? ', repaired' : ''}`
  const lines = [paint(out, damage.repaired ? 'yellow' : 'red', head)]
  if (damage.quarantined !== undefined) lines.push(`  moved to ${printable(damage.quarantined)}`)
  for (const image of damage.images) lines.push(`  needed by ${printable(image)}`)
  return `${lines.join('\n')}\n`
}

function summary({ blobs, manifests, bytes, damages }: Readonly<ScrubReport>): string {
  return `${count(blobs, 'blob')}, ${count(manifests, 'manifest')} (${showBytes(bytes)}), ${damages} damaged`
}
