import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { explainAccess } from '../../data-folder.ts'
import type { ServedNode } from '../../node/serve.ts'
import { type Banner, openBanner } from '../banner.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { CommandFailure } from '../explain.ts'
import { Interrupted } from '../interrupt.ts'
import { createLog } from '../log.ts'
import type { Register } from '../program.ts'
import { readSettings } from '../settings.ts'
import type { Shell } from '../shell.ts'
import type { Output } from '../terminal.ts'
import { readVersion } from '../version.ts'

export const registerServe: Register = (program, shellFor, done) => {
  program
    .command('serve')
    .argument('[config.yml]', 'configuration file; default: --config, else none')
    .description('run the node: a registry on 127.0.0.1:5005 unless configured otherwise')
    .addHelpText(
      'after',
      `
SIGTERM or SIGINT ends it in order: what is under way may finish within http.draintimeout. A second one ends it at once;
what was acknowledged is on the disk either way.

Examples:
  pinnace serve
  pinnace serve config.yml
  REGISTRY_HTTP_ADDR=127.0.0.1:5006 pinnace serve --data /srv/pinnace`
    )
    .action(async (file: string | undefined, _options: object, command) => {
      done(await serve(shellFor(command), file))
    })
}

async function serve(shell: Shell, file: string | undefined): Promise<ExitCode> {
  if (file !== undefined && shell.config !== undefined && resolve(file) !== resolve(shell.config)) {
    throw new CommandFailure(exitCodes.usage, `two configuration files: ${file} and --config ${shell.config}; give one`)
  }
  const { config, warnings, sources } = await readSettings(shell, file)
  const { out, err } = shell.terminal
  outliveReaders(out, err)
  const log = createLog(config.log, out)
  endOnUncaught(log)
  for (const warning of warnings) log.warn(warning)
  const version = await readVersion()
  const { serveNode } = await import('../../node.ts')
  let node: ServedNode
  try {
    const load = () => readSettings(shell, file)
    const configFile = sources.file !== undefined && { path: resolve(sources.file), warnings, load }
    node = await serveNode(config, { log, signal: shell.signal, version, ...(configFile && { configFile }) })
  } catch (error) {
    // Told to stop before it was up: it has stopped.
    if (error instanceof Interrupted) return exitCodes.ok
    throw await explainAccess(resolve(config.storage.filesystem.rootdirectory), error)
  }
  const banner = openBanner(out, log, config)
  banner.listening(version, node.addresses, resolve(config.storage.filesystem.rootdirectory))
  const failed = watchIdentity(node, config, banner)
  try {
    await Promise.race([failed, shell.signal.aborted ? undefined : once(shell.signal, 'abort')])
  } finally {
    await stop(node, config, banner)
  }
  return exitCodes.ok
}

/** Rejects when libp2p cannot start; settles in no other way. */
function watchIdentity(node: ServedNode, config: Config, banner: Banner): Promise<never> {
  const folder = resolve(config.storage.filesystem.rootdirectory)
  return new Promise((_, reject) => {
    node.identity().then(
      identity => banner.reachable(identity),
      async error => reject(await explainAccess(folder, error))
    )
  })
}

async function stop(node: ServedNode, config: Config, banner: Banner): Promise<void> {
  banner.stopping(config.http.draintimeout)
  await node.drain(config.http.draintimeout)
  await node.close()
  banner.stopped()
}

/** A reader of the log that goes away takes the log with it, not the node. */
function outliveReaders(...streams: Output[]): void {
  for (const stream of streams) stream.removeAllListeners('error').on('error', () => {})
}

/** Nothing is saved here: what was acknowledged is durable, and an unknown state is best left at once. */
function endOnUncaught(log: ReturnType<typeof createLog>): void {
  process.on('uncaughtException', error => {
    log.fatal({ err: error }, 'uncaught error, the node ends')
    process.exit(exitCodes.failure)
  })
}
