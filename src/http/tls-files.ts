import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { errnoOf, mendReading } from '../file-access.ts'
import { type FileWatch, type FileWatchTimes, openFileWatch } from '../file-watch.ts'
import type { Log } from '../registry/ports.ts'
import type { CertificatePair, Certificates } from './certificates.ts'

export interface TlsFilesInit extends FileWatchTimes {
  /** PEM file: the certificate, then its chain. */
  certificate: string
  /** PEM file. */
  key: string
  /** What else the listener's TLS is made of; a pair has to do with it. */
  context?: SecureContextOptions
}

/** Most renewals write one file after the other. */
const settleMs = 500

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

/** Certificate and key from files that are read again when they change. A pair that cannot be used leaves the last good one in force. */
export interface TlsFiles extends Certificates {
  close(): Promise<void>
}

/**
 * Reads the files and watches them.
 *
 * @throws {TlsFileError} or an `AggregateError` of two
 */
export async function openTlsFiles({ log }: { log: Log }, init: TlsFilesInit): Promise<TlsFiles> {
  const listeners: ((pair: CertificatePair) => void)[] = []
  const paths = [init.certificate, init.key]
  const changed = async () => {
    try {
      latest = await load(init)
      tellOfDates(log, init, latest)
      for (const use of listeners) use(latest.pair)
      const until = latest.leaf.validToDate.toISOString()
      log.info({ file: init.certificate, until }, 'new certificate in use; connections that are open keep theirs')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error({ reason }, 'certificate files changed but cannot be used: the certificate before stays in use')
    }
  }
  const files: FileWatch = await openFileWatch({ log }, { settleMs, ...init, paths, changed })
  let latest = await load(init)
  tellOfDates(log, init, latest)
  files.start()
  return {
    follow: use => {
      listeners.push(use)
      use(latest.pair)
    },
    close: () => files.close()
  }
}

interface Loaded {
  pair: CertificatePair
  leaf: X509Certificate
}

async function load(init: TlsFilesInit): Promise<Loaded> {
  const reading = [readPem('certificate', init.certificate), readPem('key', init.key)] as const
  const failures = (await Promise.allSettled(reading)).flatMap(it => (it.status === 'rejected' ? [it.reason] : []))
  if (failures.length > 1) throw new AggregateError(failures, failures.join('\n'))
  const [cert, key] = await Promise.all(reading)
  return { pair: { cert, key }, leaf: validate(cert, key, init) }
}

async function readPem(which: 'certificate' | 'key', path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new TlsFileError(which, `cannot read ${path} ${mendReading(cause)}`, { cause })
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
    const mismatch = errnoOf(cause) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
    const why = mismatch
      ? `it is not the key of the certificate in ${certificate}; name two files that were made together`
      : `TLS refuses it (${errnoOf(cause)})`
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
