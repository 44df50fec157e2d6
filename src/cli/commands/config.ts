import { checkDataFolder } from '../../data-folder.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import { readSettings } from '../settings.ts'
import type { Shell } from '../shell.ts'
import { count, paint } from '../terminal.ts'

export const registerConfig: Register = (program, shellFor, done) => {
  const config = program.command('config').description('check or print the configuration')
  config
    .command('check')
    .argument('[file]', 'configuration file; default: --config, else none')
    .description('check file, environment and data folder; tell every problem with its line')
    .addHelpText(
      'after',
      '\nEnds with 2 when the node would not start.\n\nExamples:\n  pinnace config check config.yml\n  REGISTRY_HTTP_ADDR=:5000 pinnace config check'
    )
    .action(async (file: string | undefined, _options: object, command) => {
      await check(shellFor(command), file)
      done(exitCodes.ok)
    })
  config
    .command('print')
    .argument('[file]', 'configuration file; default: --config, else none')
    .description('print what the node runs with, as YAML: file, environment and defaults together, secrets hidden')
    .addHelpText('after', '\nExamples:\n  pinnace config print\n  pinnace config print config.yml > effective.yml')
    .action(async (file: string | undefined, _options: object, command) => {
      await print(shellFor(command), file)
      done(exitCodes.ok)
    })
}

async function check(shell: Shell, file: string | undefined): Promise<void> {
  const { out, err } = shell.terminal
  const { config, warnings, sources } = await readSettings(shell, file)
  for (const warning of warnings) err.write(`${paint(err, 'yellow', 'warning:')} ${warning}\n`)
  const folder = await checkDataFolder(config.storage.filesystem.rootdirectory)
  const from = [sources.file ?? 'no file', count(sources.environment.length, 'REGISTRY_… variable')].join(', ')
  out.write(`the configuration is good (${from})\n`)
  out.write(`data folder: ${folder.path} (${folder.exists ? 'there' : 'made at the first start'})\n`)
}

async function print(shell: Shell, file: string | undefined): Promise<void> {
  const { printConfig } = await import('../../config.ts')
  const { config } = await readSettings(shell, file)
  shell.terminal.out.write(printConfig(config))
}
