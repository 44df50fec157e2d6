import { confirm } from '../confirm.ts'
import { connect } from '../connect.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { CommandFailure, explain } from '../explain.ts'
import type { Operations } from '../operations.ts'
import type { Register } from '../program.ts'
import type { Shell } from '../shell.ts'
import { Table } from '../table.ts'
import { count, paint, printable, showBytes } from '../terminal.ts'

export const registerQuarantine: Register = (program, shellFor, done) => {
  const quarantine = program
    .command('quarantine')
    .description('list and remove the files that were put aside because their bytes do not hash, or nothing names them')
  quarantine
    .command('ls')
    .description('list them with size, day, and whether a repository still misses the bytes')
    .option('--json', 'one JSON object a line: {name, size, at, digest?, state: replaced|lost|unneeded}')
    .addHelpText(
      'after',
      `
replaced: the right bytes are here again. lost: an image still needs them, "pinnace scrub" says which.
unneeded: no repository has them. The files are in quarantine/ of the data folder.

Examples:
  pinnace quarantine ls
  pinnace quarantine ls --json`
    )
    .action(async (options: { json?: boolean }, command) => {
      await list(shellFor(command), options)
      done(exitCodes.ok)
    })
  quarantine
    .command('rm')
    .argument('[name...]', 'files, as "pinnace quarantine ls" shows them')
    .description('remove files for good; what is lost stays lost until it is pushed again')
    .option('--all', 'every file')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nExamples:\n  pinnace quarantine rm --all\n  pinnace quarantine rm sha256-….1b2c3d4e --yes --data /srv/pinnace'
    )
    .action(async (names: string[], options: { all?: boolean; yes?: boolean }, command) => {
      done(await remove(shellFor(command), names, options))
    })
}

async function list(shell: Shell, { json }: { json?: boolean }): Promise<void> {
  const { out } = shell.terminal
  await using operations = await connect(shell)
  const table = json ? undefined : new Table(out, columns)
  for await (const file of operations.quarantine({ signal: shell.signal })) {
    const at = new Date(file.at).toISOString()
    if (table === undefined) out.write(`${JSON.stringify({ ...file, at })}\n`)
    else table.row(file.name, showBytes(file.size), at.slice(0, 10), file.state)
  }
  table?.end()
}

const columns = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'SINCE' }, { title: 'STATE' }] as const

async function remove(
  shell: Shell,
  names: readonly string[],
  { all, yes }: { all?: boolean; yes?: boolean }
): Promise<ExitCode> {
  if (names.length > 0 === (all === true))
    throw new CommandFailure(exitCodes.usage, 'name the files to remove, or pass --all')
  await using operations = await connect(shell)
  const { signal } = shell
  if (!yes) {
    const question = all
      ? await describeAll(operations, { signal })
      : `Remove ${names.map(printable).join(', ')} for good?`
    if (!(await confirm(shell, question, 'to remove'))) return exitCodes.failure
  }
  // Awaited here, since leaving lets the node or the folder go.
  return await (all ? removeAll(shell, operations) : removeNamed(shell, operations, names))
}

async function describeAll(operations: Operations, options: { signal: AbortSignal }): Promise<string> {
  let files = 0
  let bytes = 0
  for await (const { size } of operations.quarantine(options)) {
    files++
    bytes += size
  }
  return `Remove ${count(files, 'file')} (${showBytes(bytes)}) for good?`
}

async function removeAll({ terminal, signal }: Shell, operations: Operations): Promise<ExitCode> {
  let files = 0
  let bytes = 0
  // A folder that is listed while files leave it may pass over some: again until there is none.
  for (let before = -1; files > before; ) {
    before = files
    for await (const { name, size } of operations.quarantine({ signal })) {
      signal.throwIfAborted()
      if (!(await removeIfThere(operations, name, signal))) continue
      files++
      bytes += size
    }
  }
  terminal.out.write(`removed ${count(files, 'file')} (${showBytes(bytes)})\n`)
  return exitCodes.ok
}

/** `false` when somebody else removed it meanwhile. */
async function removeIfThere(operations: Operations, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await operations.removeQuarantined(name, { signal })
    return true
  } catch (error) {
    if (explain(error).exitCode === exitCodes.notFound) return false
    throw error
  }
}

async function removeNamed(shell: Shell, operations: Operations, names: readonly string[]): Promise<ExitCode> {
  const { out, err } = shell.terminal
  let exitCode: ExitCode = exitCodes.ok
  for (const name of names) {
    shell.signal.throwIfAborted()
    try {
      await operations.removeQuarantined(name, { signal: shell.signal })
      out.write(`removed ${printable(name)}\n`)
    } catch (error) {
      if (shell.signal.aborted) throw error
      // The others are still wanted gone: say what is wrong with this one and go on.
      const failed = explain(error)
      err.write(`${paint(err, 'red', 'pinnace:')} ${failed.message}\n`)
      exitCode = failed.exitCode
    }
  }
  return exitCode
}
