/** A registry under load. */
export interface Target {
  /** As it stands in the table. */
  name: string
  /** `http://host:port`, or `https://…`. */
  origin: string
  /** Of the process, when it was started here. */
  pid?: number
  /** Ends what was started here and removes its data. Idempotent. */
  close(): Promise<void>
}

export interface Certificate {
  /** PEM files. */
  certificate: string
  key: string
}

export interface TargetInit {
  /** A folder of the target's own for its data and configuration. */
  folder: string
  /** Speak TLS with this. */
  tls: Certificate | undefined
  signal: AbortSignal
}
