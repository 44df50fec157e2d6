import { AsyncLocalStorage } from 'node:async_hooks'
import { text } from 'node:stream/consumers'
import { axios, Client } from 'acme-client'
import type { Egress } from '../egress/egress.ts'

/** What an authority last said, for who is told of a failure. */
interface Conversation {
  egress: Egress
  signal: AbortSignal
  /** ms since the epoch before which it wants no more requests. */
  retryAt: number | undefined
}

const conversations = new AsyncLocalStorage<Conversation>()

/** An authority's answer has at most so many bytes: a chain of certificates is the longest. */
const longestAnswer = 1024 * 1024

/** The parts of axios's adapter that acme-client uses. */
interface Asked {
  url?: string | undefined
  method?: string | undefined
  headers: { toJSON(): Record<string, unknown> }
  data?: unknown
}

/**
 * acme-client's HTTP, through the egress rule or not at all. Status codes are left to acme-client, so nothing is repeated behind the
 * caller's back: its own repeating waits as long as it is told to and cannot be stopped.
 */
async function throughEgress(asked: Asked) {
  const conversation = conversations.getStore()
  if (conversation === undefined) throw new Error('acme-client called out by itself: only the egress rule may')
  const { egress, signal } = conversation
  const headers = Object.fromEntries(
    Object.entries(asked.headers.toJSON()).flatMap(([name, value]) =>
      typeof value === 'string' && name.toLowerCase() !== 'user-agent' ? [[name, value]] : []
    )
  )
  const answer = await egress.request(asked.url ?? '', {
    method: asked.method ?? 'get',
    headers: { ...headers, 'User-Agent': 'pinnace' },
    ...(typeof asked.data === 'string' && { body: asked.data }),
    maxBytes: longestAnswer,
    redirects: asked.method === 'get' ? 3 : 'none',
    signal
  })
  const data = await text(answer.body)
  if (answer.status === 429 || answer.status === 503) conversation.retryAt = retryTime(answer.headers['retry-after'])
  const problem = /\bjson\b/.test(answer.headers['content-type'] ?? '')
  return {
    data: problem ? parsed(data) : data,
    status: answer.status,
    statusText: '',
    headers: answer.headers,
    config: asked,
    request: {}
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryTime(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : undefined
  const time = seconds === undefined ? Date.parse(value) : Date.now() + seconds * 1000
  return Number.isNaN(time) ? undefined : time
}

// The one instance that acme-client has; whom it serves is decided by who calls.
Object.assign(axios.defaults, { adapter: throughEgress })

/** What the authority said no to, in its own words. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError'
  /** ms since the epoch, where it said when to come again. */
  readonly retryAt: number | undefined

  constructor(message: string, init: { retryAt?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: init.cause })
    this.retryAt = init.retryAt
  }
}

export interface AuthorityComponents {
  egress: Egress
}

export interface AuthorityInit {
  directoryUrl: string
  email: string
  /** PEM, PKCS #8. */
  accountKey: string
}

/** An ACME authority (RFC 8555) and an account there. */
export class Authority {
  readonly #egress: Egress
  readonly #init: AuthorityInit
  readonly #client: Client
  #registered = false
  #registering: Promise<void> | undefined

  constructor({ egress }: AuthorityComponents, init: AuthorityInit) {
    this.#egress = egress
    this.#init = init
    this.#client = new Client({ directoryUrl: init.directoryUrl, accountKey: init.accountKey })
  }

  /**
   * Runs requests of one purpose, as the account; it is made where it does not exist.
   *
   * @throws {AuthorityError}
   */
  async ask<T>(signal: AbortSignal, questions: (client: Client) => Promise<T>): Promise<T> {
    const conversation: Conversation = { egress: this.#egress, signal, retryAt: undefined }
    try {
      return await conversations.run(conversation, async () => {
        await this.#register(conversation)
        return await questions(this.#client)
      })
    } catch (cause) {
      signal.throwIfAborted()
      throw saidIn(conversation, cause)
    }
  }

  /** An account that exists is found again by its key. One request for all who wait: an authority may trip over two. */
  async #register(conversation: Conversation): Promise<void> {
    if (this.#registered) return
    this.#registering ??= this.#createAccount(conversation).finally(() => {
      this.#registering = undefined
    })
    await this.#registering
  }

  async #createAccount(conversation: Conversation): Promise<void> {
    const contact = [`mailto:${this.#init.email}`]
    try {
      await this.#client.createAccount({ termsOfServiceAgreed: true, contact })
      this.#registered = true
    } catch (cause) {
      throw saidIn(conversation, cause)
    }
  }
}

/** A failure with when the authority wants to be asked again. */
function saidIn({ retryAt }: Conversation, cause: unknown): AuthorityError {
  if (cause instanceof AuthorityError) return cause
  return new AuthorityError(cause instanceof Error ? cause.message : String(cause), { cause, retryAt })
}
