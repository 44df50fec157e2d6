import { CommanderError } from 'commander'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { explain } from './explain.ts'
import { interruptible } from './interrupt.ts'
import { buildProgram } from './program.ts'
import { paint, standardTerminal } from './terminal.ts'

/** Runs one command line and returns the status to end with; every failure has been told on standard error by then. */
export async function run(argv: readonly string[]): Promise<ExitCode> {
  const terminal = standardTerminal()
  // `pinnace ls | head`: the reader has seen enough, which is no failure.
  for (const stream of [terminal.out, terminal.err]) stream.on('error', endWhenUnread)
  let exitCode: ExitCode = exitCodes.ok
  const signal = interruptible()
  const program = buildProgram({ terminal, signal }, code => {
    exitCode = code
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    // Commander has told its own errors; asking for help or version is none.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    const { message, exitCode: failed } = explain(isAbort(error) && signal.aborted ? signal.reason : error, argv)
    terminal.err.write(`${paint(terminal.err, 'red', 'pinnace:')} ${message}\n`)
    return failed
  }
}

/** Node's own operations reject with an `AbortError` of theirs, which keeps the signal's reason to itself. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function endWhenUnread(error: Error): void {
  if (!('code' in error) || error.code !== 'EPIPE') throw error
  process.exit(exitCodes.ok)
}
