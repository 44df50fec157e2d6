/** A file with credentials or keys that cannot be used. The message names file and line, never what is in it. */
export class CredentialFileError extends Error {
  override readonly name = 'CredentialFileError'
  readonly path: string

  constructor(path: string, message: string, init: { line?: number; cause?: unknown } = {}) {
    const place = init.line === undefined ? path : `${path}, line ${init.line}`
    super(`${place}: ${message}`, init.cause === undefined ? undefined : { cause: init.cause })
    this.path = path
  }
}

/** What is wrong with one line or the whole of a text; the reader of the file says which file it is. */
export class InvalidText extends Error {
  override readonly name = 'InvalidText'
  readonly line: number | undefined

  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}
