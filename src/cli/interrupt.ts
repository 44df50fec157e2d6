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
 * The first SIGINT or SIGTERM aborts the returned signal, so that the command ends in order; the second ends the
 * process at once. Nothing that was acknowledged is lost by that: 201 means durable.
 */
export function interruptible(): AbortSignal {
  const controller = new AbortController()
  for (const [name, exitCode] of Object.entries(signals)) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCode)
      controller.abort(new Interrupted(exitCode))
    })
  }
  return controller.signal
}
