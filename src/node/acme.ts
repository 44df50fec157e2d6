import { join } from 'node:path'
import type { SecureContextOptions } from 'node:tls'
import { Acme } from '../acme/acme.ts'
import { AlpnChallenges } from '../acme/alpn-challenges.ts'
import { Authority } from '../acme/authority.ts'
import { CertificateFolder } from '../acme/certificate-folder.ts'
import { HttpChallenges } from '../acme/http-challenges.ts'
import { type Config, ConfigError, readAddress } from '../config.ts'
import { createEgress } from '../egress/egress.ts'
import { namedHost } from '../egress/named-hosts.ts'
import type { Certificates } from '../http/certificates.ts'
import type { Log } from '../registry/ports.ts'
import type { Closers } from './closers.ts'

type LetsEncrypt = NonNullable<NonNullable<Config['http']['tls']>['letsencrypt']>

export interface AcmeParts {
  log: Log
  /** The data folder. */
  folder: string
  context: SecureContextOptions
}

/** Certificates from an authority, and a function that begins to get them once the ports are open. */
export async function openAcme(
  settings: LetsEncrypt,
  { log, folder, context }: AcmeParts,
  closers: Closers
): Promise<{ certificates: Certificates; start: () => void }> {
  const { hosts, email, directoryurl, cachefile = join(folder, 'acme') } = settings
  const [first, ...others] = hosts
  if (first === undefined) throw new TypeError('the schema asks for at least one host')
  const kept = new CertificateFolder(cachefile)
  const accountKey = await openFolder(kept)
  const egress = createEgress({ named: [namedHost(directoryurl)] })
  closers.add(egress, async it => it.close())
  const alpn = new AlpnChallenges()
  const challenges = settings.http === undefined ? alpn : await listenHttp(settings.http, closers)
  const authority = new Authority({ egress }, { directoryUrl: directoryurl, email, accountKey })
  const acme = new Acme({ authority, folder: kept, challenges, log }, { hosts: [first, ...others], context })
  closers.add(acme, it => it.close())
  await acme.load()
  const certificates: Certificates = {
    follow: use => acme.follow(use),
    select: servername => acme.select(servername),
    ...(settings.http === undefined && { challenge: alpn })
  }
  return { certificates, start: () => acme.start() }
}

async function openFolder(kept: CertificateFolder): Promise<string> {
  try {
    await kept.open()
    return await kept.accountKey()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const key = 'http.tls.letsencrypt.cachefile'
    throw new ConfigError([{ key, message: `${key}: ${kept.path} cannot be used: ${why}` }], { cause })
  }
}

async function listenHttp(text: string, closers: Closers): Promise<HttpChallenges> {
  const address = readAddress(text)
  if (address === undefined || !('port' in address)) throw new TypeError('cross-check asks for an address')
  const challenges = new HttpChallenges()
  await challenges.listen(address)
  return closers.add(challenges, it => it.close())
}
