import { createInterface } from 'node:readline/promises'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { Shell } from './shell.ts'

/**
 * Asks a person on the terminal; anything but `y` or `yes` is no.
 *
 * @param purpose what `--yes` would be for, e.g. `to remove`
 * @throws {CommandFailure} `usage` where nobody can answer
 */
export async function confirm({ terminal, signal }: Shell, question: string, purpose: string): Promise<boolean> {
  if (!terminal.in.isTTY) throw new CommandFailure(exitCodes.usage, `no terminal to ask on: pass --yes ${purpose}`)
  const asked = createInterface({ input: terminal.in, output: terminal.err })
  try {
    const answer = await asked.question(`${question} [y/N] `, { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    asked.close()
  }
}
