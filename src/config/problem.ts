/** Where a value was written: a line of the file, or a variable of the environment. */
export interface Place {
  /** The file, or the name of the environment variable. */
  source: string
  /** 1-based; absent for a variable. */
  line?: number
}

/** One thing wrong with a configuration. */
export interface Problem {
  /** Complete sentence for the operator: place, key, wrong value (never a secret), what to do. */
  message: string
  /** Dotted key, e.g. `http.tls.key`; absent when the text is not YAML at all. */
  key?: string
  place?: Place
}

/** A configuration that cannot be used. Carries every problem found, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** Stable; the message is not. */
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(problem => problem.message).join('\n'), options)
    this.problems = problems
  }
}

/** `config.yml:12` or `REGISTRY_HTTP_ADDR`. */
export function showPlace(place: Place): string {
  return place.line === undefined ? place.source : `${place.source}:${place.line}`
}

/** A problem whose message starts with its place. */
export function problemAt(place: Place | undefined, sentence: string, key?: string): Problem {
  return {
    message: place === undefined ? sentence : `${showPlace(place)}: ${sentence}`,
    ...(key === undefined ? {} : { key }),
    ...(place === undefined ? {} : { place })
  }
}

const shownLength = 80

/** A value for a message: quoted, without control characters, cut to a line. Never call it with a secret. */
export function showValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  const clean = text.replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd')
  return clean.length > shownLength ? `${clean.slice(0, shownLength)}…` : clean
}

/** A key for a message: as it is when it looks like one, else quoted. */
export function showKey(key: string): string {
  return /^[\w.[\]-]{1,120}$/.test(key) ? key : showValue(key)
}
