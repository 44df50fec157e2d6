import { randomBytes } from 'node:crypto'
import { InvalidArgumentError } from 'commander'
import { type Action, actions } from '../../access/authorize.ts'
import type { ListedToken } from '../../http/control/token-protocol.ts'
import { connect } from '../connect.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { expiryForms, readExpiry } from '../expiry.ts'
import { CommandFailure, explain } from '../explain.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { Table } from '../table.ts'
import { paint, printable } from '../terminal.ts'

interface CreateArguments {
  name?: string
  repo: string[]
  actions: Action[]
  /** ms since epoch. */
  expires?: number | 'never'
}

export const registerToken: Register = (program, shellFor, done) => {
  const token = program.command('token').description('make, list and remove tokens, for machines that sign in')
  token
    .command('create')
    .description('make a token and print its secret, which is not kept and not shown again')
    .option('--name <name>', 'what it is called in lists and rules; default: one that says nothing')
    .requiredOption('--repo <pattern>', "repositories, e.g. 'team/**'; may be given more than once", collect)
    .requiredOption('--actions <list>', `what it may do there: some of ${actions.join(',')}`, readActions)
    .option('--expires <when>', `${expiryForms}; default: 90d`, readExpires)
    .addHelpText(
      'after',
      `
The secret alone goes to standard output; it is the password of any user name. In patterns * stands for a part of one
component and ** for any number of components; quote them, or the shell takes them for files.

Examples:
  pinnace token create --name ci --repo 'team/**' --actions pull,push > ci.token
  pinnace token create --name mirror --repo '**' --actions pull --expires never
  pinnace token create --name laptop --repo '**' --actions admin --expires 30d > admin.token
  docker login --username ci --password-stdin registry.example < ci.token`
    )
    .action(async (options: CreateArguments, command) => {
      await create(shellFor(command), options)
      done(exitCodes.ok)
    })
  token
    .command('ls')
    .description('list tokens, without their secrets')
    .option('--all', 'also those that "docker login" keeps instead of a password')
    .option(
      '--json',
      'one JSON object a line: {id, name, kind, grants: [{repositories, actions}], user?, createdAt, expiresAt?, expired}'
    )
    .addHelpText('after', '\nExamples:\n  pinnace token ls\n  pinnace token ls --all --json')
    .action(async (options: { all?: boolean; json?: boolean }, command) => {
      await list(shellFor(command), options)
      done(exitCodes.ok)
    })
  token
    .command('rm')
    .argument('<name|id...>', 'tokens, as "pinnace token ls" shows them')
    .description('remove tokens; they count no more from the next request on')
    .addHelpText('after', '\nExamples:\n  pinnace token rm ci\n  pinnace token rm ci mirror --data /srv/pinnace')
    .action(async (tokens: string[], _options: object, command) => {
      done(await remove(shellFor(command), tokens))
    })
}

async function create(shell: Shell, options: CreateArguments): Promise<void> {
  const { name = anyName(), repo, actions, expires = readExpires('90d') } = options
  const { out, err } = shell.terminal
  if (expires !== 'never' && expires <= Date.now()) {
    throw new CommandFailure(exitCodes.usage, `--expires is in the past (${showTime(expires)}): write ${expiryForms}`)
  }
  await using operations = await connect(shell)
  const grants = repo.map(repositories => ({ repositories, actions }))
  const wanted = { name, grants, ...(expires === 'never' ? {} : { expiresAt: expires }) }
  const { token, record, authenticating } = await operations.createToken(wanted, { signal: shell.signal })
  const until = expires === 'never' ? 'never expires' : `expires ${showTime(expires)}`
  err.write(`Token ${name} (${printable(record.id)}): ${actions.join(', ')} on ${repo.join(', ')}; ${until}.\n`)
  err.write('Its secret is shown this once. To sign in, give it on standard input to\n')
  err.write(`  docker login --username ${name} --password-stdin ${operations.registryHost ?? 'HOST'}\n`)
  out.write(`${printable(token)}\n`)
  if (!authenticating) {
    const advice = 'set auth.htpasswd (users) or an access: list (rules), see docs/operations.md'
    err.write(
      `${paint(err, 'yellow', 'warning:')} this node asks nobody who they are, so the token protects nothing: ${advice}\n`
    )
  }
}

async function list(shell: Shell, { all, json }: { all?: boolean; json?: boolean }): Promise<void> {
  const { out } = shell.terminal
  await using operations = await connect(shell)
  const table = json ? undefined : new Table(out, columns)
  for await (const record of operations.tokens({ all: all ?? false, signal: shell.signal })) {
    if (table === undefined) out.write(`${JSON.stringify(plain(record))}\n`)
    else for (const row of rowsOf(record)) table.row(...row)
  }
  table?.end()
}

const columns = ['NAME', 'ID', 'KIND', 'REPOSITORIES', 'ACTIONS', 'CREATED', 'EXPIRES'].map(title => ({ title }))

/** One row, or one for each set of actions where they differ. */
function rowsOf(record: ListedToken): string[][] {
  const { id, name, kind, createdAt, grants } = record
  const expires = record.expiresAt === undefined ? 'never' : isExpired(record) ? 'expired' : showDay(record.expiresAt)
  const byActions = Map.groupBy(grants, grant => grant.actions.join(','))
  const rights = [...byActions].map(([actions, granted]) => [granted.map(it => it.repositories).join(','), actions])
  const [first = ['as the user', ''], ...more] = rights
  return [[name, id, kind, ...first, showDay(createdAt), expires], ...more.map(right => ['', '', '', ...right, '', ''])]
}

function plain(record: ListedToken): object {
  const { id, name, kind, grants, user, createdAt, expiresAt } = record
  return {
    id,
    name,
    kind,
    grants,
    ...(user === undefined ? {} : { user }),
    createdAt: showTime(createdAt),
    ...(expiresAt === undefined ? {} : { expiresAt: showTime(expiresAt) }),
    expired: isExpired(record)
  }
}

async function remove(shell: Shell, tokens: readonly string[]): Promise<ExitCode> {
  const { out, err } = shell.terminal
  await using operations = await connect(shell)
  let exitCode: ExitCode = exitCodes.ok
  for (const token of tokens) {
    shell.signal.throwIfAborted()
    try {
      const { name, id } = await operations.removeToken(token, { signal: shell.signal })
      out.write(`removed ${printable(name)} (${printable(id)})\n`)
    } catch (error) {
      if (shell.signal.aborted) throw error
      // The others are still wanted gone: tell this one and go on.
      const failed = explain(error)
      err.write(`${paint(err, 'red', 'pinnace:')} ${failed.message}\n`)
      exitCode = failed.exitCode
    }
  }
  return exitCode
}

function collect(pattern: string, before: string[] | undefined): string[] {
  return [...(before ?? []), pattern]
}

function readActions(text: string): Action[] {
  const wanted = text.split(',').map(part => part.trim())
  for (const part of wanted) {
    if (!isAction(part)) {
      throw new InvalidArgumentError(`${JSON.stringify(part)} is no action; there are ${actions.join(', ')}.`)
    }
  }
  return [...new Set(wanted.filter(isAction))]
}

function isAction(text: string): text is Action {
  return actions.some(action => action === text)
}

function readExpires(text: string): number | 'never' {
  const expiry = readExpiry(text, Date.now())
  if (expiry !== undefined) return expiry
  throw new InvalidArgumentError(`Write ${expiryForms}.`)
}

function anyName(): string {
  return `token-${randomBytes(4).toString('hex')}`
}

function isExpired({ expiresAt }: ListedToken): boolean {
  return expiresAt !== undefined && expiresAt <= Date.now()
}

function showTime(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}

function showDay(at: number): string {
  return showTime(at).slice(0, 10)
}
