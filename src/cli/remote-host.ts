import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import { readSecret } from './read-secret.ts'
import type { Shell } from './shell.ts'

/** A node elsewhere, and what it takes to be let in. */
export interface RemoteHost {
  /** Scheme, host, port and the `http.prefix` of the node. */
  url: URL
  token?: string
  /** PEM of a certificate authority trusted beside the usual ones. */
  ca?: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The node that the command line or the environment names by URL; `undefined` when the node is one of this machine, which
 * `--data` and `--config` say too, and louder than a variable.
 *
 * @throws {CommandFailure} `usage`: what is wrong with which of them, never a token
 */
export async function remoteHost(shell: Shell, environment: Environment): Promise<RemoteHost | undefined> {
  const local = shell.data === undefined ? (shell.config === undefined ? undefined : '--config') : '--data'
  if (shell.host !== undefined && local !== undefined) {
    throw wrong(`${local} names a node of this machine and --host another: give one of the two`)
  }
  const text = shell.host ?? (local === undefined ? environment.PINNACE_HOST || undefined : undefined)
  if (text === undefined) {
    const lost = shell.tokenFile !== undefined ? '--token-file' : shell.ca !== undefined ? '--ca' : undefined
    if (lost !== undefined) throw wrong(`${lost} is for a node elsewhere: name it with --host`)
    return undefined
  }
  const url = readUrl(text, shell.host === undefined ? 'PINNACE_HOST' : '--host')
  if (url.protocol === 'http:' && !shell.insecure && !isLoopback(url.hostname)) {
    throw wrong(`${url.origin} would get the token in clear text, for everybody on the way: use https, or --insecure`)
  }
  const [token, ca] = await Promise.all([readToken(shell, environment, url), readAuthority(shell.ca)])
  return { url, ...(token === undefined ? {} : { token }), ...(ca === undefined ? {} : { ca }) }
}

/** Whether the line or the environment means a node elsewhere, for commands that cannot. */
export function namesRemote(shell: Shell, environment: Environment): boolean {
  const here = shell.data !== undefined || shell.config !== undefined
  return shell.host !== undefined || (!here && (environment.PINNACE_HOST ?? '') !== '')
}

function readUrl(text: string, where: string): URL {
  const url = URL.parse(text)
  const example = 'write a URL such as https://registry.example'
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw wrong(`${where} is ${JSON.stringify(text.replace(/\/\/[^/@]*@/, '//…@'))}: ${example}`)
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong(`${where} holds a user name or password: ${example}, and give a token with --token-file`)
  }
  if (url.search !== '' || url.hash !== '') throw wrong(`${where} has a query or a fragment: ${example}`)
  return url
}

async function readToken(shell: Shell, environment: Environment, url: URL): Promise<string | undefined> {
  const { PINNACE_TOKEN: direct = '', PINNACE_TOKEN_FILE: named = '', PINNACE_HOST: host = '' } = environment
  if (shell.tokenFile !== undefined) return tokenIn(shell.tokenFile, shell)
  // Beside PINNACE_HOST it is the token of that host, and of no other that the line may name.
  if (host !== '' && URL.parse(host)?.origin !== url.origin) return undefined
  if (direct !== '' && named !== '') throw wrong('PINNACE_TOKEN and PINNACE_TOKEN_FILE are both set: set one of them')
  if (named !== '') return tokenIn(named, shell)
  return direct === '' ? undefined : checked(direct, 'PINNACE_TOKEN')
}

async function tokenIn(file: string, shell: Shell): Promise<string> {
  const text = (await readSecret(file, shell.terminal)).toString('utf8')
  return checked(text, file === '-' ? 'standard input' : file)
}

/** A token is one word; whoever names the wrong file should not send it to somebody. */
function checked(text: string, where: string): string {
  const token = text.trim()
  if (/^[\w.~+/=-]+$/.test(token)) return token
  throw wrong(token === '' ? `${where} holds no token` : `what ${where} holds is no token: a token is one word`)
}

async function readAuthority(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8')
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw wrong(`--ca ${file} holds no certificate in PEM`)
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function wrong(message: string): CommandFailure {
  return new CommandFailure(exitCodes.usage, message)
}
