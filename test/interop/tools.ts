/**
 * The foreign programs that the interop tests talk to: finding, running and stopping them, and making their absence
 * visible. A missing program is a skipped suite whose title says how to install it, and a failed one where
 * `PINNACE_REQUIRE_INTEROP=1` (as in CI) promises that everything is there.
 */
import { describe, it } from 'vitest'
import { lacking, type ToolName } from './find.ts'

export { type Daemon, type DaemonOptions, startDaemon, startProgram } from './daemon.ts'
export { findTool, requireTool, type ToolName } from './find.ts'
export { type RunOptions, type RunResult, runProgram, runTool } from './run.ts'

/** True where a missing program is a failure rather than a skip. */
export function interopIsRequired(): boolean {
  return process.env.PINNACE_REQUIRE_INTEROP === '1'
}

/**
 * `describe` where every one of `names` is there. Otherwise a skipped suite whose title tells what to install, or one
 * failing test under `PINNACE_REQUIRE_INTEROP=1`.
 */
export function describeWithTools(names: readonly ToolName[], title: string, suite: () => void): void {
  const missing = names.map(lacking).filter(line => line !== undefined)
  if (missing.length === 0) {
    describe(title, suite)
    return
  }
  const needs = `needs ${missing.join('; ')}`
  if (!interopIsRequired()) {
    describe.skip(`${title} (${needs})`, suite)
    return
  }
  describe(title, () => {
    it('has the programs it talks to', () => {
      throw new Error(needs)
    })
  })
}
