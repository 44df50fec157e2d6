import { type ExitCode, exitCodes } from './exit-codes.ts'

/** The reason of the signal that an interrupted command's work is aborted with. */
export class Interrupted extends Error {
  override readonly name = 'AbortError'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

const signals = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const

/**
 * Ctrl-C reaches every process of the terminal, and a wrapper such as `npm start` passes its own on: what comes within so
 * many ms of the first is the same key.
 */
const sameKey = 300

/**
 * The first SIGINT or SIGTERM aborts the returned signal, so that the command ends in order; the second ends the
 * process at once. Nothing that was acknowledged is lost by that: 201 means durable.
 */
export function interruptible(): AbortSignal {
  const controller = new AbortController()
  let since = 0
  for (const [name, exitCode] of Object.entries(signals)) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        if (name === 'SIGINT' && process.stdin.isTTY && performance.now() - since < sameKey) return
        process.exit(exitCode)
      }
      since = performance.now()
      controller.abort(new Interrupted(exitCode))
    })
  }
  return controller.signal
}
