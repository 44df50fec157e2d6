import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import { readSecret } from './read-secret.ts'
import type { Shell } from './shell.ts'

/**
 * A new password: typed twice where a person sits, unseen; else the one line of standard input.
 *
 * @throws {CommandFailure} `usage` when the two differ or there is none
 */
export async function askNewPassword(shell: Shell, whose: string): Promise<string> {
  const { terminal } = shell
  if (!terminal.in.isTTY) {
    const text = (await readSecret('-', terminal)).toString('utf8').replace(/\r?\n$/, '')
    if (text === '') throw new CommandFailure(exitCodes.usage, 'standard input holds no password')
    if (/[\r\n]/.test(text)) throw new CommandFailure(exitCodes.usage, 'standard input holds more than one line')
    return text
  }
  const password = await askUnseen(shell, `Password for ${whose}: `)
  if (password === '') throw new CommandFailure(exitCodes.usage, 'that is no password')
  if (password !== (await askUnseen(shell, 'Once more: '))) {
    throw new CommandFailure(exitCodes.usage, 'these were two different passwords')
  }
  return password
}

async function askUnseen({ terminal, signal }: Shell, question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  // Raw mode first: what is typed from the question on is not echoed.
  const asked = createInterface({ input: terminal.in, output: nowhere, terminal: true, historySize: 0 })
  terminal.err.write(question)
  const aborter = new AbortController()
  // In raw mode Ctrl-C is a key like any other, and Ctrl-D ends the input.
  asked.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  asked.once('close', () => aborter.abort(new CommandFailure(exitCodes.usage, 'that is no password')))
  try {
    return await asked.question('', { signal: AbortSignal.any([signal, aborter.signal]) })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw aborter.signal.aborted ? aborter.signal.reason : error
  } finally {
    asked.close()
    terminal.err.write('\n')
  }
}
