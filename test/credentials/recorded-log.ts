import type { Log } from '../../src/registry/ports.ts'

/** A log that keeps its lines, as JSON with the level first. */
export class RecordedLog implements Log {
  readonly lines: string[] = []

  debug(fields: object, message: string): void {
    this.#keep('debug', fields, message)
  }

  info(fields: object, message: string): void {
    this.#keep('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#keep('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#keep('error', fields, message)
  }

  of(level: string): string[] {
    return this.lines.filter(line => line.startsWith(level))
  }

  #keep(level: string, fields: object, message: string): void {
    this.lines.push(`${level} ${JSON.stringify(fields)} ${message}`)
  }
}
