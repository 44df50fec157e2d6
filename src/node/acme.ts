import { join } from 'node:path'
import type { SecureContextOptions } from 'node:tls'
import { Acme } from '../acme/acme.ts'
import { AlpnChallenges } from '../acme/alpn-challenges.ts'
import { Authority } from '../acme/authority.ts'
import { CertificateFolder } from '../acme/certificate-folder.ts'
import { HttpChallenges } from '../acme/http-challenges.ts'
import { type Config, ConfigError } from '../config.ts'
import { createEgress } from '../egress/egress.ts'
import { namedHost } from '../egress/named-hosts.ts'
import { mendWriting } from '../file-access.ts'
import type { Certificates } from '../http/certificates.ts'
import type { Log } from '../registry/ports.ts'
import type { Closers } from './closers.ts'
import { listening } from './listen-error.ts'

type LetsEncrypt = NonNullable<NonNullable<Config['http']['tls']>['letsencrypt']>

export interface AcmeParts {
  log: Log
  /** The data folder. */
  folder: string
  context: SecureContextOptions
  /** Where HTTP-01 is answered; TLS-ALPN-01 without. */
  challengesAt?: { host?: string; port: number } | undefined
}

/** Certificates from an authority, and a function that begins to get them once the ports are open. */
export async function openAcme(
  settings: LetsEncrypt,
  { log, folder, context, challengesAt }: AcmeParts,
  closers: Closers
): Promise<{ certificates: Certificates; start: () => void }> {
  const { hosts, email, directoryurl, cachefile = join(folder, 'acme') } = settings
  const [first, ...others] = hosts
  if (first === undefined) throw new TypeError('the schema asks for at least one host')
  const kept = new CertificateFolder(cachefile)
  const accountKey = await withFolder(kept, async () => {
    await kept.open()
    return kept.accountKey()
  })
  const egress = createEgress({ named: [namedHost(directoryurl)] })
  closers.add(egress, async it => it.close())
  const alpn = new AlpnChallenges()
  const challenges = challengesAt === undefined ? alpn : await listenHttp(challengesAt, closers)
  const authority = new Authority({ egress }, { directoryUrl: directoryurl, email, accountKey })
  const acme = new Acme({ authority, folder: kept, challenges, log }, { hosts: [first, ...others], context })
  closers.add(acme, it => it.close())
  await acme.load()
  const certificates: Certificates = {
    follow: use => acme.follow(use),
    select: servername => acme.select(servername),
    ...(challengesAt === undefined && { challenge: alpn })
  }
  return { certificates, start: () => acme.start() }
}

/** Whether {@link openAcme} could use its folder; changes nothing. @throws {ConfigError} */
export async function checkAcme({ cachefile }: LetsEncrypt, folder: string | undefined): Promise<void> {
  const path = cachefile ?? (folder === undefined ? undefined : join(folder, 'acme'))
  if (path === undefined) return
  const kept = new CertificateFolder(path)
  await withFolder(kept, () => kept.check())
}

async function withFolder<T>(kept: CertificateFolder, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (cause) {
    const why = cause instanceof Error && 'syscall' in cause ? mendWriting(cause) : `: ${String(cause)}`
    const key = 'http.tls.letsencrypt.cachefile'
    throw new ConfigError([{ key, message: `${key}: ${kept.path} cannot be used ${why}` }], { cause })
  }
}

async function listenHttp(address: { host?: string; port: number }, closers: Closers): Promise<HttpChallenges> {
  const challenges = new HttpChallenges()
  await listening('http.tls.letsencrypt.http', () => challenges.listen(address))
  return closers.add(challenges, it => it.close())
}
