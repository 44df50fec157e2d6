import type { GcReport } from '../../registry/registry.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import { startProgress } from '../progress.ts'
import type { Shell } from '../shell.ts'
import { count, showBytes } from '../terminal.ts'

interface GcArguments {
  dryRun?: boolean
  deleteUntagged?: boolean
  json?: boolean
}

export const registerGc: Register = (program, shellFor, done) => {
  program
    .command('gc')
    .description('free the bytes that no manifest needs; safe beside pushes')
    .option('--dry-run', 'say what would go, remove nothing')
    .option('--delete-untagged', 'also delete manifests that no tag, image index or subject leads to')
    .option('--json', 'one JSON object: dryRun, links, manifests, blobs, bytes, uploads')
    .addHelpText(
      'after',
      '\nWhat was pushed within ipfs.gc.grace stays.\n\nExamples:\n  pinnace gc --dry-run\n  pinnace gc --delete-untagged'
    )
    .action(async (options: GcArguments, command) => {
      await gc(shellFor(command), options)
      done(exitCodes.ok)
    })
}

async function gc(shell: Shell, { dryRun, deleteUntagged, json }: GcArguments): Promise<void> {
  await using operations = await connect(shell)
  const progress = startProgress(shell.terminal.err, 'Collecting garbage')
  try {
    const report = await operations.collectGarbage({
      signal: shell.signal,
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(deleteUntagged === undefined ? {} : { deleteUntagged }),
      onWait: manifests =>
        progress.update(`first reading the manifests that an earlier version stored: ${manifests} so far`),
      onProgress: now => progress.update(summary(now))
    })
    progress.stop()
    const text = `${report.dryRun ? 'would free' : 'freed'} ${summary(report)}`
    shell.terminal.out.write(`${json ? JSON.stringify(report) : text}\n`)
  } finally {
    progress.stop()
  }
}

function summary({ blobs, bytes, manifests, links, uploads }: Readonly<GcReport>): string {
  const parts = [
    `${count(blobs, 'blob')} (${showBytes(bytes)})`,
    count(links, 'link'),
    count(manifests, 'manifest'),
    count(uploads, 'abandoned upload')
  ]
  return parts.join(', ')
}
