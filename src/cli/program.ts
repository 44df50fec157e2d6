import { Command } from 'commander'
import { registerConfig } from './commands/config.ts'
import { registerGc } from './commands/gc.ts'
import { registerHealth } from './commands/health.ts'
import { registerId } from './commands/id.ts'
import { registerInspect } from './commands/inspect.ts'
import { registerKey } from './commands/key.ts'
import { registerLs } from './commands/ls.ts'
import { registerQuarantine } from './commands/quarantine.ts'
import { registerRm } from './commands/rm.ts'
import { registerScrub } from './commands/scrub.ts'
import { registerServe } from './commands/serve.ts'
import { registerToken } from './commands/token.ts'
import { registerUser } from './commands/user.ts'
import { registerVersion } from './commands/version.ts'
import { describeExitCodes, type ExitCode } from './exit-codes.ts'
import type { Shell } from './shell.ts'

/** Adds one command to the program. `done` takes its exit status. */
export type Register = (program: Command, shellFor: (command: Command) => Shell, done: (code: ExitCode) => void) => void

const commands: readonly Register[] = [
  registerServe,
  registerInspect,
  registerId,
  registerKey,
  registerLs,
  registerRm,
  registerGc,
  registerScrub,
  registerQuarantine,
  registerToken,
  registerUser,
  registerConfig,
  registerHealth,
  registerVersion
]

const examples = `
Examples:
  pinnace serve                              a registry on 127.0.0.1:5005, data in the home folder
  docker push localhost:5005/app:v1          push to it
  pinnace inspect app:v1                     digests, sizes and CIDs of what was pushed
  pinnace ls --data /srv/pinnace             the repositories of the node with that data folder
  pinnace ls --host https://registry.example --token-file admin.token

Beside a running node the commands ask it over a socket in its data folder; otherwise they open the folder.
With --host they ask a node elsewhere, which wants a token with the action admin.`

/** The whole command line. */
export function buildProgram(shell: Pick<Shell, 'terminal' | 'signal'>, done: (code: ExitCode) => void): Command {
  const program = new Command('pinnace')
    .description('An OCI/Docker registry that is an IPFS node: every blob a CID, one process, one copy on disk.')
    .option('--config <file>', 'configuration file (YAML, as for distribution); REGISTRY_… variables override it')
    .option('--data <dir>', 'data folder, instead of storage.filesystem.rootdirectory')
    .option('--host <url>', 'a node elsewhere, by its URL; default: PINNACE_HOST, else the node of the data folder')
    .option('--token-file <file>', 'file with an admin token for --host; or PINNACE_TOKEN_FILE, PINNACE_TOKEN')
    .option('--ca <file>', 'PEM of a certificate authority to trust for --host, beside the usual ones')
    .option('--insecure', 'let --host be plain HTTP beyond loopback')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: text => void shell.terminal.out.write(text),
      writeErr: text => void shell.terminal.err.write(text)
    })
    .exitOverride()
    .showHelpAfterError('(--help shows how)')
    .addHelpText('after', `${examples}\n\n${describeExitCodes()}`)
  for (const register of commands)
    register(program, command => ({ ...shell, command: pathOf(command), ...readGlobals(command) }), done)
  return program
}

/** `key rotate`, without the program's own name. */
function pathOf(command: Command): string {
  const above = command.parent
  return above?.parent ? `${pathOf(above)} ${command.name()}` : command.name()
}

type Globals = Pick<Shell, 'config' | 'data' | 'host' | 'tokenFile' | 'ca' | 'insecure'>

function readGlobals(command: Command): Globals {
  const { config, data, host, tokenFile, ca, insecure } = command.optsWithGlobals<Globals>()
  return {
    ...(config === undefined ? {} : { config }),
    ...(data === undefined ? {} : { data }),
    ...(host === undefined ? {} : { host }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(ca === undefined ? {} : { ca }),
    ...(insecure === undefined ? {} : { insecure })
  }
}
