import { X509Certificate } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Log } from '../registry/ports.ts'
import type { CertificatePair, Certificates } from './certificates.ts'

export interface TlsFilesInit {
  /** PEM file: the certificate, then its chain. */
  certificate: string
  /** PEM file. */
  key: string
  /** What else the listener's TLS is made of; a pair has to do with it. */
  context?: SecureContextOptions
  /** ms between looks, for file systems that report no events. Default 2 s. */
  pollMs?: number
  /** ms that both files have to stay as they are before they are read: most renewals write one after the other. Default 500. */
  settleMs?: number
}

/** Certificate files that cannot be used. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError'
  /** Which of the two. */
  readonly which: 'certificate' | 'key'

  constructor(which: 'certificate' | 'key', message: string, init: { cause?: unknown } = {}) {
    super(message, init)
    this.which = which
  }
}

/**
 * Certificate and key from files that are read again when they change: written anew, renamed over, or behind a symbolic link that
 * points elsewhere, as certbot and Kubernetes do. A pair that cannot be used leaves the last good one in force.
 */
export class TlsFiles implements Certificates {
  readonly #log: Log
  readonly #init: TlsFilesInit
  readonly #listeners: ((pair: CertificatePair) => void)[] = []
  readonly #watchers: FSWatcher[] = []
  #pair: CertificatePair
  /** Which files were looked at last, good or not. */
  #version: string
  #candidate: string | undefined
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  /** Use {@link openTlsFiles}. */
  constructor({ log }: { log: Log }, init: TlsFilesInit, first: Loaded) {
    this.#log = log
    this.#init = init
    this.#pair = first.pair
    this.#version = first.version
  }

  follow(use: (pair: CertificatePair) => void): void {
    this.#listeners.push(use)
    use(this.#pair)
  }

  start(): void {
    const { certificate, key, pollMs = 2000, settleMs = 500 } = this.#init
    for (const folder of new Set([dirname(certificate), dirname(key)])) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#schedule(settleMs))
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch (error) {
        this.#log.debug({ folder, err: error }, 'the system reports no changes of this folder: it is polled')
      }
    }
    this.#schedule(pollMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const watcher of this.#watchers) watcher.close()
    clearTimeout(this.#timer)
    await this.#looking
  }

  /** In `ms`, or earlier if that was planned. */
  #schedule(ms: number): void {
    if (this.#closed) return
    const due = performance.now() + ms
    if (this.#timer !== undefined && this.#due <= due) return
    clearTimeout(this.#timer)
    this.#due = due
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#looking = this.#looking.then(() => this.#look())
    }, ms)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#closed) return
    const { pollMs = 2000, settleMs = 500 } = this.#init
    const version = await versionOf(this.#init)
    if (version === this.#version) {
      this.#candidate = undefined
      return this.#schedule(pollMs)
    }
    if (version !== this.#candidate) {
      this.#candidate = version
      return this.#schedule(settleMs)
    }
    this.#candidate = undefined
    this.#version = version
    await this.#load()
    this.#schedule(pollMs)
  }

  async #load(): Promise<void> {
    try {
      const loaded = await load(this.#init)
      this.#version = loaded.version
      this.#pair = loaded.pair
      tellOfDates(this.#log, this.#init, loaded)
      for (const use of this.#listeners) use(loaded.pair)
      this.#log.info(
        { file: this.#init.certificate, until: loaded.leaf.validToDate.toISOString() },
        'new certificate in use; connections that are open keep theirs'
      )
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#log.error({ reason }, 'certificate files changed but cannot be used: the certificate before stays in use')
    }
  }
}

/**
 * Reads the files and watches them.
 *
 * @throws {TlsFileError}
 */
export async function openTlsFiles(components: { log: Log }, init: TlsFilesInit): Promise<TlsFiles> {
  const first = await load(init)
  tellOfDates(components.log, init, first)
  const files = new TlsFiles(components, init, first)
  files.start()
  return files
}

interface Loaded {
  pair: CertificatePair
  leaf: X509Certificate
  version: string
}

async function load(init: TlsFilesInit): Promise<Loaded> {
  // Before the reading: what changes meanwhile is read again.
  const version = await versionOf(init)
  const [cert, key] = await Promise.all([readPem('certificate', init.certificate), readPem('key', init.key)])
  return { pair: { cert, key }, leaf: validate(cert, key, init), version }
}

async function readPem(which: 'certificate' | 'key', path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new TlsFileError(which, `cannot read ${path} (${codeOf(cause)})`, { cause })
  }
}

function validate(cert: Buffer, key: Buffer, { certificate, key: keyPath, context }: TlsFilesInit): X509Certificate {
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(cert)
  } catch (cause) {
    throw new TlsFileError('certificate', `${certificate} holds no certificate in PEM form`, { cause })
  }
  try {
    createSecureContext({ key })
  } catch (cause) {
    throw new TlsFileError('key', `${keyPath} holds no private key in PEM form without a password`, { cause })
  }
  try {
    createSecureContext({ ...context, cert, key })
  } catch (cause) {
    const mismatch = codeOf(cause) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
    const why = mismatch
      ? `it is not the key of the certificate in ${certificate}`
      : `TLS refuses it (${codeOf(cause)})`
    throw new TlsFileError('key', `${keyPath}: ${why}`, { cause })
  }
  return leaf
}

/** An expired certificate is used all the same: a client may know it, and the operator sees at once what is wrong. */
function tellOfDates(log: Log, { certificate }: TlsFilesInit, { leaf }: Loaded): void {
  const fields = { file: certificate, from: leaf.validFromDate.toISOString(), until: leaf.validToDate.toISOString() }
  if (leaf.validToDate.getTime() < Date.now()) log.warn(fields, 'the certificate has expired: clients will refuse it')
  else if (leaf.validFromDate.getTime() > Date.now())
    log.warn(fields, 'the certificate is not valid yet: clients will refuse it, or the clock of this machine is wrong')
}

async function versionOf({ certificate, key }: TlsFilesInit): Promise<string> {
  const versions = [certificate, key].map(async path => {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
      return [ino, size, mtimeNs, ctimeNs].join(' ')
    } catch (error) {
      return codeOf(error)
    }
  })
  return (await Promise.all(versions)).join(', ')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}
