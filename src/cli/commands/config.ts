import { ConfigError } from '../../config/problem.ts'
import type { Config } from '../../config.ts'
import { findHolder } from '../../data-folder.ts'
import type { ListenersResponse } from '../../http/control-protocol.ts'
import type { StartCheck } from '../../node/check-start.ts'
import { ControlClient } from '../control-client.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Register } from '../program.ts'
import { inspectSettings, readSettings } from '../settings.ts'
import type { Shell } from '../shell.ts'
import { SocketTransport } from '../socket-transport.ts'
import { count, paint } from '../terminal.ts'

export const registerConfig: Register = (program, shellFor, done) => {
  const config = program.command('config').description('check or print the configuration')
  config
    .command('check')
    .argument('[file]', 'configuration file; default: --config, else none')
    .description('find everything that would keep "serve" from starting, and change nothing')
    .addHelpText(
      'after',
      '\nJudges file and environment, each problem with its line, then what they name: data folder, files of users, keys and\ncertificates, audit log, addresses. Those that a node running on the same data folder has are free. Run it as the user\nthat the node runs as: what another may read or listen on is another matter. Ends with 2 when the node would not start.\n\nExamples:\n  pinnace config check config.yml\n  REGISTRY_HTTP_ADDR=:5000 pinnace config check'
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
  const { config, problems, warnings, sources } = await inspectSettings(shell, file)
  const start = config === undefined ? undefined : await checkStartOf(config, shell)
  for (const warning of [...warnings, ...(start?.warnings ?? [])])
    err.write(`${paint(err, 'yellow', 'warning:')} ${warning}\n`)
  const found = [...problems, ...(start?.problems ?? []).map(message => ({ message }))]
  if (found.length > 0) throw new ConfigError(found)
  const { environment, ignored } = sources
  const variables =
    environment.length === 0 ? 'no REGISTRY_… variable' : count(environment.length, 'REGISTRY_… variable')
  const passedOver = ignored.length === 0 ? [] : [`${ignored.length} ignored`]
  out.write(`the configuration is good (${[sources.file ?? 'no file', variables, ...passedOver].join(', ')})\n`)
  const folder = start?.dataFolder
  if (folder !== undefined)
    out.write(`data folder: ${folder.path} (${folder.exists ? 'there' : 'made at the first start'})\n`)
}

/** What a start would be refused for; the addresses of a node that runs on the same data folder are its own. */
async function checkStartOf(config: Config, shell: Shell): Promise<StartCheck> {
  const [{ checkStart }, { holdsAddress }] = await Promise.all([
    import('../../node/check-start.ts'),
    import('../../node/listeners.ts')
  ])
  const held = await runningListeners(config, shell)
  return checkStart(config, { isHeld: address => holdsAddress(held, address) })
}

/** Addresses of the node that has the data folder; none where no node has it, or it cannot be asked. */
async function runningListeners(config: Config, { signal }: Shell): Promise<readonly string[]> {
  try {
    const socket = (await findHolder(config.storage.filesystem.rootdirectory))?.controlSocket
    if (socket === undefined) return []
    const client = new ControlClient(new SocketTransport(socket))
    try {
      const { listeners } = await client.json<ListenersResponse>('GET', '/listeners', undefined, { signal })
      return listeners
    } finally {
      client.close()
    }
  } catch {
    signal.throwIfAborted()
    // Whatever it is that keeps it from answering, the ports themselves say whether they are free.
    return []
  }
}

async function print(shell: Shell, file: string | undefined): Promise<void> {
  const { printConfig } = await import('../../config.ts')
  const { config } = await readSettings(shell, file)
  shell.terminal.out.write(printConfig(config))
}
