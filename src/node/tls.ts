import type { SecureContextOptions } from 'node:tls'
import { type Config, ConfigError, tlsCiphers } from '../config.ts'
import type { Certificates } from '../http/certificates.ts'
import { openTlsFiles, TlsFileError } from '../http/tls-files.ts'
import type { Log } from '../registry/ports.ts'
import type { Closers } from './closers.ts'
import { challengeAddress } from './listeners.ts'

export interface ListenTls {
  tls: SecureContextOptions
  certificates: Certificates
  /** Begins to get certificates, once the ports are open that the authority asks at. */
  start?: () => void
}

const tlsVersions = { 'tls1.0': 'TLSv1', 'tls1.1': 'TLSv1.1', 'tls1.2': 'TLSv1.2', 'tls1.3': 'TLSv1.3' } as const

/**
 * What the listeners' TLS is made of, or nothing where they speak plain HTTP.
 *
 * @throws {ConfigError} naming the file that cannot be used
 */
export async function openTls(
  config: Config,
  components: { log: Log; folder: string },
  closers: Closers
): Promise<ListenTls | undefined> {
  const { tls } = config.http
  if (tls === undefined) return undefined
  const context: SecureContextOptions = {
    minVersion: tlsVersions[tls.minimumtls],
    ...(tls.ciphersuites && { ciphers: tlsCiphers(tls.ciphersuites) })
  }
  if (tls.letsencrypt !== undefined) {
    // 10 MB of memory that a node without it need not have.
    const { openAcme } = await import('./acme.ts')
    const parts = { ...components, context, challengesAt: challengeAddress(config) }
    return { tls: context, ...(await openAcme(tls.letsencrypt, parts, closers)) }
  }
  const { certificate = '', key = '' } = tls
  try {
    const files = await openTlsFiles(components, { certificate, key, context })
    return { tls: context, certificates: closers.add(files, it => it.close()) }
  } catch (error) {
    const errors: unknown[] = error instanceof AggregateError ? error.errors : [error]
    if (!errors.every(each => each instanceof TlsFileError)) throw error
    const problems = errors.map(({ which, message }) => ({
      key: `http.tls.${which}`,
      message: `http.tls.${which}: ${message}`
    }))
    throw new ConfigError(problems, { cause: error })
  }
}
