import { X509Certificate } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Log } from '../registry/ports.ts'
import { type Authority, AuthorityError } from './authority.ts'
import type { CertificateFolder, Keyed } from './certificate-folder.ts'
import type { Challenges } from './challenges.ts'
import { obtain } from './order.ts'
import { renewalTime, retryTime } from './renewal.ts'

export interface AcmeComponents {
  authority: Authority
  folder: CertificateFolder
  challenges: Challenges
  log: Log
}

export interface AcmeInit {
  /** Names to have a certificate for; the first is served to clients that send none. */
  hosts: readonly [string, ...string[]]
  /** What else TLS is made of. */
  context?: SecureContextOptions
  /** ms a handshake waits for the first certificate. Default 5 s. */
  handshakeWaitMs?: number
}

interface Name {
  context: SecureContext | undefined
  /** Settles with the first certificate. */
  first: PromiseWithResolvers<SecureContext>
}

type Pair = { cert: string; key: string }

/** ms until a folder that failed is looked at again. */
const folderPause = 10 * 60_000

/** Starts in a row that may end in the middle of an order before they count as failures. */
const harmlessKills = 3

/** A Node timer takes no more, ms. */
const longestDelay = 2 ** 31 - 1

/** Certificates of an ACME authority: got when there are none, renewed at two thirds of their life, kept over restarts. */
export class Acme {
  readonly #components: AcmeComponents
  readonly #init: AcmeInit
  readonly #names = new Map<string, Name>()
  readonly #listeners: ((pair: Pair) => void)[] = []
  readonly #stopping = new AbortController()
  readonly #hosts: readonly [string, ...string[]]
  #pair: Pair | undefined
  #working: Promise<unknown> = Promise.resolve()

  constructor(components: AcmeComponents, init: AcmeInit) {
    this.#components = components
    this.#init = init
    const [first, ...others] = init.hosts
    this.#hosts = [first.toLowerCase(), ...others.map(host => host.toLowerCase())]
    for (const host of this.#hosts) this.#names.set(host, { context: undefined, first: Promise.withResolvers() })
    for (const { first } of this.#names.values()) first.promise.catch(() => undefined)
  }

  /** Puts what is kept to use. */
  async load(): Promise<void> {
    await this.#components.folder.open()
    for (const host of this.#names.keys()) {
      const kept = await this.#components.folder.find(host)
      if (kept !== undefined) this.#use(host, kept)
    }
  }

  /** Begins to get and renew, one name after the other's first; to be called once the challenges can be answered. */
  start(): void {
    this.#working = Promise.all([...this.#names.keys()].map(host => this.#maintain(host)))
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    for (const { first } of this.#names.values()) first.reject(new Error('the node stops'))
    await this.#working
  }

  /** The certificate of the first name, now and whenever it is replaced. */
  follow(use: (pair: Pair) => void): void {
    this.#listeners.push(use)
    if (this.#pair !== undefined) use(this.#pair)
  }

  /** Waits a few seconds for the first certificate of a name; `undefined` for names that are not ours. */
  async select(servername: string): Promise<SecureContext | undefined> {
    const name = this.#names.get(servername.toLowerCase())
    if (name === undefined) return undefined
    if (name.context !== undefined) return name.context
    const { promise, reject } = Promise.withResolvers<never>()
    const { handshakeWaitMs = 5_000 } = this.#init
    const timer = setTimeout(() => reject(new Error(`there is no certificate for ${servername} yet`)), handshakeWaitMs)
    return await Promise.race([name.first.promise, promise]).finally(() => clearTimeout(timer))
  }

  #use(host: string, { key, chain }: Keyed): void {
    const pair = { cert: chain, key }
    const context = createSecureContext({ ...this.#init.context, ...pair })
    const name = this.#names.get(host)
    if (name === undefined) return
    name.context = context
    name.first.resolve(context)
    if (host !== this.#hosts[0]) return
    this.#pair = pair
    for (const use of this.#listeners) use(pair)
  }

  async #maintain(host: string): Promise<void> {
    const { folder, log } = this.#components
    const { signal } = this.#stopping
    for (let first = true; !signal.aborted; first = false) {
      try {
        await this.#wait(host, { kept: await folder.find(host), first })
        await this.#renew(host)
      } catch (error) {
        if (signal.aborted) return
        log.error({ host, folder: folder.path, err: error }, 'the folder of certificates cannot be used')
        await sleepUntil(Date.now() + folderPause, signal).catch(() => undefined)
      }
    }
  }

  /** Until there is something to do for a name. */
  async #wait(host: string, { kept, first }: { kept: Keyed | undefined; first: boolean }): Promise<void> {
    const { folder, log } = this.#components
    const { retryAt } = await folder.attempts(host)
    const due = kept === undefined ? 0 : renewalTime(kept.chain)
    if (first && kept === undefined && retryAt > Date.now())
      log.warn(
        { host, until: new Date(retryAt).toISOString() },
        `no certificate yet, and the authority is asked again later. Remove "${host}+attempts" in ${folder.path} and start again to try at once`
      )
    await sleepUntil(Math.max(due, retryAt), this.#stopping.signal)
  }

  /** A failure is told and remembered. */
  async #renew(host: string): Promise<void> {
    const { folder, log } = this.#components
    const { signal } = this.#stopping
    const served = this.#names.get(host)?.context !== undefined
    const { type } = this.#components.challenges
    log.info({ host, challenge: type }, served ? 'renewing the certificate' : 'getting a certificate')
    const failures = (await folder.attempts(host)).failures + 1
    // A process that is killed meanwhile may try again at once; one that is killed over and over counts as failing.
    const ifKilled = failures <= harmlessKills ? 0 : retryTime({ failures, now: Date.now() })
    await folder.setAttempts(host, { failures, retryAt: ifKilled })
    try {
      const fresh = await obtain(this.#components, host, signal)
      await folder.keep(host, fresh)
      await folder.setAttempts(host, undefined)
      this.#use(host, fresh)
      const until = new X509Certificate(fresh.chain).validToDate.toISOString()
      log.info({ host, until }, 'certificate in use')
    } catch (error) {
      if (signal.aborted) throw error
      const wanted = error instanceof AuthorityError ? error.retryAt : undefined
      const retryAt = retryTime({ failures, now: Date.now(), retryAt: wanted })
      await folder.setAttempts(host, { failures, retryAt })
      const reason = error instanceof Error ? error.message : String(error)
      const fields = { host, reason, retryAt: new Date(retryAt).toISOString() }
      log.error(
        fields,
        served
          ? 'no new certificate: the one before stays in use'
          : 'no certificate: TLS cannot be spoken for this name'
      )
    }
  }
}

async function sleepUntil(time: number, signal: AbortSignal): Promise<void> {
  for (let left = time - Date.now(); left > 0; left = time - Date.now())
    await delay(Math.min(left, longestDelay), undefined, { signal, ref: false })
  signal.throwIfAborted()
}
