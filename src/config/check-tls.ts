import { readAddress } from './address.ts'
import { type Finding, findingAt } from './finding.ts'
import { showValue } from './problem.ts'
import type { Config } from './schema.ts'

/** A certificate comes from two files or from an authority. */
export function* checkTls({ tls, net }: Config['http']): Generator<Finding> {
  if (tls === undefined) return
  const { certificate, key, letsencrypt } = tls
  if (letsencrypt === undefined) {
    const missing = 'write the path of a file or folder'
    if (certificate === undefined) yield missingKey('http.tls.certificate', missing)
    if (key === undefined) yield missingKey('http.tls.key', missing)
    return
  }
  if (certificate !== undefined || key !== undefined) {
    const given = certificate !== undefined ? 'http.tls.certificate' : 'http.tls.key'
    yield findingAt(given, 'there is http.tls.letsencrypt too; write certificate and key, or letsencrypt, not both')
  }
  yield* checkAuthority(letsencrypt)
  if (letsencrypt.http === undefined && net === 'unix')
    yield findingAt(
      'http.tls.letsencrypt',
      'no authority reaches a unix socket; set http.tls.letsencrypt.http, or net: tcp'
    )
}

type LetsEncrypt = NonNullable<NonNullable<Config['http']['tls']>['letsencrypt']>

function* checkAuthority({ http, directoryurl }: LetsEncrypt): Generator<Finding> {
  if (http !== undefined && readAddress(http) === undefined)
    yield findingAt('http.tls.letsencrypt.http', `${showValue(http)} is not an address; write HOST:PORT such as :80`)
  // RFC 8555, section 6.1.
  if (!/^https:/i.test(directoryurl))
    yield findingAt(
      'http.tls.letsencrypt.directoryurl',
      `${showValue(directoryurl)} is not https; ACME is spoken over https only`
    )
}

function missingKey(key: string, write: string): Finding {
  return { ...findingAt(key, ''), sentence: `${key} is missing; ${write}` }
}
