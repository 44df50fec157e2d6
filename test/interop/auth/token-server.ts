import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash } from '@node-rs/bcrypt'
import { startDaemon } from '../daemon.ts'
import { freeLoopbackPort } from '../pebble.ts'
import { runTool } from '../run.ts'
import { basic } from './guarded.ts'

export interface TokenServerOptions {
  issuer: string
  service: string
  /** Passwords by name; each user may do everything below `<name>/`. */
  users: Readonly<Record<string, string>>
}

/** Distribution's own token server, that of version 2.8: a program that knows nothing of Pinnace. */
export interface ForeignTokenServer {
  /** Its `/token/`, for `auth.token.realm`. */
  realm: string
  /** PEM file with a certificate of its key, for `auth.token.rootcertbundle`. */
  rootcertbundle: string
  /** JWKS file with its public key as it names it itself, for `auth.token.jwks`. */
  jwks: string
  logs(): string
  close(): Promise<void>
}

export async function startTokenServer(options: TokenServerOptions): Promise<ForeignTokenServer> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-token-server-'))
  const [key, passwd, rootcertbundle, jwks] = ['key.pem', 'htpasswd', 'root.pem', 'jwks.json'].map(name =>
    join(folder, name)
  ) as [string, string, string, string]
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFile(key, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  const subject = ['-subj', '/CN=token server of a test', '-days', '2']
  await runTool('openssl', ['req', '-x509', '-new', '-key', key, '-out', rootcertbundle, ...subject])
  const lines = await Promise.all(
    Object.entries(options.users).map(async ([user, password]) => `${user}:${await hash(password, 10)}\n`)
  )
  await writeFile(passwd, lines.join(''))
  // It cannot say which port it took, so it is told one that was free a moment ago.
  const port = await freeLoopbackPort()
  const addr = `127.0.0.1:${port}`
  // By name: crane asks no private address for a token, unless it is the registry's own.
  const realm = `http://localhost:${port}/token/`
  const daemon = await startDaemon(
    'token-server',
    ['-addr', addr, '-issuer', options.issuer, '-realm', 'test', '-passwd', passwd, '-key', key],
    { ready: async signal => (await fetch(realm, { signal })).status === 401 }
  )
  const [[user = '', password = ''] = []] = Object.entries(options.users)
  await writeFile(jwks, JSON.stringify({ keys: [await publicKey(realm, options.service, user, password)] }))
  const close = async (): Promise<void> => {
    await daemon.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { realm, rootcertbundle, jwks, logs: daemon.logs, close }
}

/** It puts its key into every token. */
async function publicKey(realm: string, service: string, user: string, password: string): Promise<object> {
  const response = await fetch(`${realm}?service=${service}`, { headers: { Authorization: basic(user, password) } })
  const answer: { access_token: string } = JSON.parse(await response.text())
  const [head = ''] = answer.access_token.split('.')
  const { jwk }: { jwk: object } = JSON.parse(Buffer.from(head, 'base64url').toString())
  return jwk
}
