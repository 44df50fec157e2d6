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
  /** `--host`: URL of a node elsewhere, instead of one of this machine. */
  host?: string
  /** `--token-file`: file with the token for it. */
  tokenFile?: string
  /** `--ca`: PEM file of a certificate authority to trust beside the usual ones. */
  ca?: string
  /** `--insecure`: plain HTTP to it, beyond loopback. */
  insecure?: boolean
}
