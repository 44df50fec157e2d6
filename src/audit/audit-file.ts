import { setTimeout } from 'node:timers/promises'
import type { AuditEntry, AuditLog, Clock } from '../access/ports.ts'
import type { Log } from '../registry/ports.ts'
import { RotatingFile, type RotatingFileInit } from './rotating-file.ts'

/** Lines that wait for a disk that stalls, bytes; more are lost, counted and told. */
const maxWaiting = 4 << 20
/** Lines handed over at once, so that rotation is never far behind, bytes. */
const maxBatch = 256 << 10
/** ms before a file that could not be written is tried again. */
const retryMs = 1_000
/** ms after which it is seen that another program put the file aside, also when there is nothing to write. */
const lookMs = 2_000
/** ms that a stop waits for what is not written yet. */
const closeMs = 2_000
/**
 * What a terminal does not show as it stands: delete and C1 controls, marks that turn the direction of what follows, what
 * takes no room, and line ends that are none to JSON. Other control characters it escapes itself.
 */
const unprintable = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g
/** Longest name that is kept; the end of what a token server calls its users is nobody's business. */
const maxName = 256

export interface AuditFileComponents {
  clock: Clock
  log: Pick<Log, 'warn' | 'error' | 'info'>
}

export interface AuditFileInit extends RotatingFileInit {
  /** Whether clients' addresses are kept. Default true. */
  addresses?: boolean
}

/**
 * The audit log: one JSON object a line, in a file of its own. A line is handed to the operating system at once, so a killed
 * process loses at most the one being written; it is not synced, so a power cut may cost the last half minute.
 */
export class AuditFile implements AuditLog {
  readonly #components: AuditFileComponents
  readonly #addresses: boolean
  readonly #file: RotatingFile
  readonly #closing = new AbortController()
  #waiting: string[] = []
  #waitingBytes = 0
  #lost = 0
  #working: Promise<void> | undefined
  readonly #look: NodeJS.Timeout

  private constructor(components: AuditFileComponents, init: AuditFileInit, file: RotatingFile) {
    this.#components = components
    this.#addresses = init.addresses ?? true
    this.#file = file
    this.#look = setInterval(() => this.#wake(), lookMs).unref()
  }

  /** @throws what the file system says, when the file cannot be opened */
  static async open(components: AuditFileComponents, init: AuditFileInit): Promise<AuditFile> {
    return new AuditFile(components, init, await RotatingFile.open(init))
  }

  record(entry: AuditEntry): void {
    if (this.#closing.signal.aborted) return
    const line = this.#lineOf(entry)
    if (this.#waitingBytes + line.length > maxWaiting) {
      if (this.#lost++ === 0)
        this.#components.log.error({}, 'the audit log cannot be written fast enough: entries are lost')
      return
    }
    this.#push(line)
    this.#wake()
  }

  /** Writes what waits, for a moment, and closes. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#look)
    this.#closing.abort()
    // A disk that stalls would keep the file from being closed as well.
    const patience = setTimeout(closeMs, undefined, { ref: false })
    await Promise.race([this.#working, patience])
    if (this.#waitingBytes > 0)
      this.#components.log.error({ bytes: this.#waitingBytes }, 'the audit log was left incomplete')
    await Promise.race([this.#file.close(), patience])
  }

  #lineOf(entry: AuditEntry): string {
    const { subject, action, repository, reference, digest, source, outcome, status, from, requestId } = entry
    const time = new Date(this.#components.clock.now()).toISOString()
    const shown = from === undefined || this.#addresses || from === 'control' ? from : undefined
    const who = subject.slice(0, maxName)
    const line = {
      time,
      subject: who,
      action,
      repository,
      reference,
      digest,
      source,
      outcome,
      status,
      from: shown,
      requestId
    }
    return `${JSON.stringify(line).replace(unprintable, escaped)}\n`
  }

  #wake(): void {
    this.#working ??= this.#work()
  }

  #push(line: string): void {
    this.#waiting.push(line)
    this.#waitingBytes += line.length
  }

  async #work(): Promise<void> {
    try {
      // What fails here fails when there is something to write, and is told then.
      if (this.#waiting.length === 0) await this.#file.follow().catch(() => undefined)
      while (this.#waiting.length > 0) {
        const batch = this.#nextBatch()
        await this.#write(batch)
        this.#waitingBytes -= batch.length
        this.#tellLost()
      }
    } catch {
      // Only when closing: said there.
    } finally {
      this.#working = undefined
    }
  }

  #nextBatch(): string {
    let bytes = 0
    let count = 0
    for (const line of this.#waiting) {
      bytes += line.length
      if (count > 0 && bytes > maxBatch) break
      count++
    }
    return this.#waiting.splice(0, count).join('')
  }

  /** Tries until it is written. */
  async #write(batch: string): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        await this.#file.write(batch)
        if (failures > 0) this.#components.log.info({}, 'the audit log can be written again')
        return
      } catch (error) {
        if (failures === 0) this.#components.log.error({ err: error }, 'the audit log cannot be written; tried again')
        await setTimeout(retryMs, undefined, { signal: this.#closing.signal, ref: false })
      }
    }
  }

  /** The log itself says where it has a gap. */
  #tellLost(): void {
    if (this.#lost === 0 || this.#waitingBytes > maxWaiting / 2) return
    const count = this.#lost
    this.#lost = 0
    this.#components.log.warn({ count }, 'entries of the audit log were lost')
    const entry: AuditEntry = { subject: 'operator', action: 'lost', reference: String(count), outcome: 'failed' }
    this.#push(this.#lineOf(entry))
  }
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
