import type { Terminal } from './terminal.ts'

/** What every command is given. */
export interface Shell {
  terminal: Terminal
  /** Aborted by the first SIGINT or SIGTERM. */
  signal: AbortSignal
  /** The command's name, e.g. `gc` or `key rotate`: what another process is told that finds the data folder in use. */
  command: string
  /** `--config`: a configuration file. */
  config?: string
  /** `--data`: the data folder, instead of the configured one. */
  data?: string
}
