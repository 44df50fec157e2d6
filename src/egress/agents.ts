import { lookup as systemLookup } from 'node:dns'
import { type AgentOptions, type ClientRequestArgs, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'
import { isPublicAddress } from './address.ts'
import { EgressError } from './error.ts'
import type { NamedHosts } from './named-hosts.ts'

/** How names become addresses. Default: the system's way, `getaddrinfo`. */
export type Lookup = LookupFunction

type Connected = (error: Error | null, stream: Duplex) => void

/** What a connection is asked for with; of `node:http`, and wider than its types. */
interface Dialled {
  host?: string | null | undefined
  port?: number | string | null | undefined
  lookup?: LookupFunction | undefined
  socketPath?: string | null | undefined
}

interface Rule {
  named: NamedHosts
  lookup?: Lookup
}

/**
 * The options of a connection, with a lookup that gives allowed addresses only: what was judged is what is dialled, there
 * is no second question to DNS in between.
 *
 * @throws {EgressError} ADDRESS_REFUSED for a unix socket or an address that is written out
 */
function guarded<T extends Dialled>(options: T, { named, lookup = systemLookup }: Rule): T {
  const host = options.host ?? 'localhost'
  const port = Number(options.port)
  if (typeof options.socketPath === 'string') throw refusal('a unix socket')
  if (named.has(host, port)) return { ...options, lookup }
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw refusal(`${host} port ${port}`)
  return { ...options, lookup: checking(lookup, port) }
}

function checking(lookup: Lookup, port: number): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, [])
      const all = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const usable = all.filter(({ address }) => isPublicAddress(address))
      const [first] = usable
      if (first === undefined) {
        const where = all.map(({ address }) => address).join(', ') || 'no address'
        return done(refusal(`${hostname} port ${port}, which is ${where}`), [])
      }
      if (options.all === true) done(null, usable)
      else done(null, first.address, first.family)
    })
  }
}

function refusal(what: string): EgressError {
  return new EgressError(
    'ADDRESS_REFUSED',
    `not connecting to ${what}: loopback, link-local, private and reserved addresses are called only where the configuration names that very host and port`
  )
}

/** `http.Agent` under the egress rule. Proxies that the environment names are not used. */
export class GuardedHttpAgent extends HttpAgent {
  readonly #rule: Rule

  constructor(rule: Rule, options: AgentOptions = {}) {
    super(options)
    this.#rule = rule
  }

  override createConnection(options: ClientRequestArgs, callback?: Connected): Duplex | null | undefined {
    return super.createConnection(guarded(options, this.#rule), callback)
  }
}

/** `https.Agent` under the egress rule. */
export class GuardedHttpsAgent extends HttpsAgent {
  readonly #rule: Rule

  constructor(rule: Rule, options: AgentOptions = {}) {
    super(options)
    this.#rule = rule
  }

  override createConnection(options: ClientRequestArgs, callback?: Connected): Duplex | null | undefined {
    return super.createConnection(guarded(options, this.#rule), callback)
  }
}
