import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, type JWK, SignJWT } from 'jose'

export interface Certificate {
  /** Path of the private key. */
  key: string
  /** Path of the PEM certificate. */
  cert: string
  /** As `x5c` wants it. */
  x5c: string
}

/** A key without a certificate. */
export type Key = Pick<Certificate, 'key'>

export interface CertificateInit {
  issuer?: Certificate
  days?: number
  /** Arguments of `openssl req -addext`. */
  extensions?: readonly string[]
  /** Arguments of `openssl req -newkey`. */
  newkey?: readonly string[]
  /** Whose key and name it has, as when a certificate is renewed. Default: its own. */
  renews?: Certificate
}

const ec = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] as const

/** Keys, certificates and tokens of a token server, made by openssl; its folder goes with {@link close}. */
export class Signer {
  readonly folder = mkdtempSync(join(tmpdir(), 'pinnace-signer-'))

  /** A self-signed certificate, or one of an issuer. */
  certificate(name: string, init: CertificateInit = {}): Certificate {
    const { issuer, days = 30, extensions = [], newkey = ec, renews } = init
    const key = renews?.key ?? join(this.folder, `${name}.key`)
    const cert = join(this.folder, `${name}.pem`)
    const by = issuer === undefined ? [] : ['-CA', issuer.cert, '-CAkey', issuer.key]
    const wanted = extensions.flatMap(extension => ['-addext', extension])
    const config = join(this.folder, 'openssl.cnf')
    // Without a file of its own openssl adds the extensions of a certificate authority.
    writeFileSync(config, '[req]\ndistinguished_name=dn\n[dn]\n')
    const own = renews === undefined ? ['-newkey', ...newkey, '-keyout', key] : ['-key', key]
    const subject = renews === undefined ? `/CN=${name}` : `/${new X509Certificate(readFileSync(renews.cert)).subject}`
    const args = ['req', '-config', config, '-x509', '-nodes', ...own, '-out', cert]
    openssl(...args, '-subj', subject, '-days', String(days), ...by, ...wanted)
    return { key, cert, x5c: new X509Certificate(readFileSync(cert)).raw.toString('base64') }
  }

  /** A key pair alone, for which no openssl is needed. */
  key(name: string): Key {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { key: this.file(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()) }
  }

  /** A file in the folder. */
  file(name: string, text: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, text)
    return path
  }

  close(): void {
    rmSync(this.folder, { recursive: true })
  }
}

export function privateKey({ key }: Key): KeyObject {
  return createPrivateKey(readFileSync(key))
}

export function publicKey({ key }: Key): KeyObject {
  return createPublicKey(readFileSync(key))
}

export function publicJwk(key: Key): Promise<JWK> {
  return exportJWK(publicKey(key))
}

/** A token signed by jose. */
export function sign(by: Key, header: object, claims: object, alg = 'ES256'): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg, typ: 'JWT', ...header }).sign(privateKey(by))
}

/** A token signed by openssl itself, RS256. */
export function signWithOpenssl(by: Certificate, header: object, claims: object): string {
  const parts = [{ alg: 'RS256', typ: 'JWT', ...header }, claims]
  const text = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const signature = execFileSync('openssl', ['dgst', '-sha256', '-sign', by.key], { input: text })
  return `${text}.${signature.toString('base64url')}`
}

export function openssl(...args: readonly string[]): Buffer {
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
}
