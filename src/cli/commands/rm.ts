import { parseImageName } from '../../oci/reference.ts'
import { confirm } from '../confirm.ts'
import { connect } from '../connect.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { explain } from '../explain.ts'
import { showReference } from '../operations.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { paint } from '../terminal.ts'

export const registerRm: Register = (program, shellFor, done) => {
  program
    .command('rm')
    .argument('<name[:tag|@digest]...>', 'images of this node; without tag, latest')
    .description('remove tags; by digest, the manifest with all its tags. gc frees the bytes')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExamples:\n  pinnace rm app:v1 app:v2\n  pinnace rm app@sha256:… --yes\n  pinnace gc')
    .action(async (names: string[], options: { yes?: boolean }, command) => {
      done(await rm(shellFor(command), names, options))
    })
}

async function rm(shell: Shell, names: readonly string[], { yes }: { yes?: boolean }): Promise<ExitCode> {
  const images = names.map(parseImageName)
  const shown = images.map(({ repository, reference }) => showReference(repository, reference))
  if (!yes && !(await confirm(shell, `Remove ${shown.join(', ')}?`, 'to remove'))) return exitCodes.failure
  await using operations = await connect(shell)
  let exitCode: ExitCode = exitCodes.ok
  for (const [index, { repository, reference }] of images.entries()) {
    shell.signal.throwIfAborted()
    try {
      await operations.remove(repository, reference, { signal: shell.signal })
      shell.terminal.out.write(`removed ${shown[index]}\n`)
    } catch (error) {
      if (shell.signal.aborted) throw error
      // The others are still wanted gone: tell this one and go on.
      const failed = explain(error)
      shell.terminal.err.write(`${paint(shell.terminal.err, 'red', 'pinnace:')} ${shown[index]}: ${failed.message}\n`)
      exitCode = failed.exitCode
    }
  }
  return exitCode
}
