import { createPublicKey, randomUUID, X509Certificate } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, tryFolder } from '../file-access.ts'
import { createKey, pkcs8 } from './keys.ts'

/** A private key and the certificate for it with its chain, PEM. */
export interface Keyed {
  key: string
  chain: string
}

/** When to try again, kept so that a node which is started over and over asks the authority no more often. */
export interface Attempts {
  failures: number
  /** ms since the epoch. */
  retryAt: number
}

const accountFile = 'acme_account+key'

/**
 * The folder of an account and its certificates, in the form of Go's `autocert.DirCache`, which distribution has: a file a name
 * with key and chain, and one with the account's key. What we add ends in `+attempts`. Files are 0600, replaced whole.
 */
export class CertificateFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async open(): Promise<void> {
    await makeFolder(this.path)
  }

  /** Whether {@link open} and {@link accountKey} could; changes nothing. @throws what they would */
  async check(): Promise<void> {
    await tryFolder(this.path)
    const kept = await this.#read(accountFile)
    if (kept !== undefined) pkcs8(kept)
  }

  /** The account's key, PEM; made and kept where there is none, before anybody is told of it. */
  async accountKey(): Promise<string> {
    const kept = await this.#read(accountFile)
    if (kept !== undefined) return pkcs8(kept)
    const key = createKey()
    await this.#write(accountFile, key)
    return key
  }

  /** What is kept for a name, if it can be used for it and has not expired. */
  async find(host: string): Promise<Keyed | undefined> {
    const text = await this.#read(host)
    if (text === undefined) return undefined
    const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----\n?/g) ?? []
    const key = blocks.find(block => block.includes('PRIVATE KEY-----'))
    const chain = blocks.filter(block => block.startsWith('-----BEGIN CERTIFICATE-----')).join('')
    if (key === undefined || chain === '') return undefined
    const keyed = { key, chain }
    return isUsable(keyed, host) ? keyed : undefined
  }

  async keep(host: string, { key, chain }: Keyed): Promise<void> {
    await this.#write(host, `${key.trimEnd()}\n${chain.trimEnd()}\n`)
  }

  async attempts(host: string): Promise<Attempts> {
    try {
      const kept: unknown = JSON.parse((await this.#read(`${host}+attempts`)) ?? '{}')
      const { failures, retryAt } = kept as Partial<Attempts>
      return { failures: Number(failures ?? 0) || 0, retryAt: Number(retryAt ?? 0) || 0 }
    } catch {
      return { failures: 0, retryAt: 0 }
    }
  }

  async setAttempts(host: string, attempts: Attempts | undefined): Promise<void> {
    if (attempts === undefined) await rm(join(this.path, `${host}+attempts`), { force: true })
    else await this.#write(`${host}+attempts`, JSON.stringify({ version: 1, ...attempts }))
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.path, name), 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  async #write(name: string, content: string): Promise<void> {
    const staged = join(this.path, `.${name}.${randomUUID()}`)
    try {
      await using file = await open(staged, 'wx', 0o600)
      await file.writeFile(content)
      await file.sync()
      await rename(staged, join(this.path, name))
    } catch (error) {
      await rm(staged, { force: true })
      throw error
    }
    await using folder = await open(this.path, 'r')
    await folder.sync()
  }
}

function isUsable({ key, chain }: Keyed, host: string): boolean {
  try {
    const leaf = new X509Certificate(chain)
    if (leaf.checkHost(host) === undefined || leaf.validToDate.getTime() <= Date.now()) return false
    return leaf.publicKey.equals(createPublicKey(key))
  } catch {
    return false
  }
}
