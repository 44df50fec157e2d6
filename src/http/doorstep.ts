import { RegistryError } from '../errors.ts'
import type { Connection } from './connections.ts'
import type { Exchange } from './exchange.ts'
import { headersTooLarge } from './header-limits.ts'
import { createHostCheck, type HostCheckInit } from './host-check.ts'
import { createOriginCheck, type OriginCheckInit } from './origin-check.ts'

export interface DoorstepInit extends HostCheckInit, OriginCheckInit {}

/** Why a request is not even looked at; `undefined` when it is. */
export type Doorstep = (exchange: Exchange, connection: Connection) => RegistryError | undefined

/** What is asked of every request, whatever it is for and whoever makes it. */
export function createDoorstep(init: DoorstepInit): Doorstep {
  const checkHost = createHostCheck(init)
  const checkOrigin = createOriginCheck(init)
  return (exchange, connection) => {
    const { request, client } = exchange
    const broken = protocolError(exchange, connection)
    if (broken === undefined) return checkHost(request, client, connection.onLoopback) ?? checkOrigin(request, client)
    exchange.closeConnection()
    return broken
  }
}

function protocolError({ request }: Exchange, connection: Connection): RegistryError | undefined {
  if (connection.surplus !== undefined)
    return new RegistryError('TOOMANYREQUESTS', { message: `too many connections (${connection.surplus})` })
  const tooLarge = headersTooLarge(request.url ?? '', request.rawHeaders)
  if (tooLarge !== undefined) return tooLarge
  const version = request.httpVersion
  if (version !== '1.1' && version !== '1.0') return invalid('this is no HTTP/1.1')
  const hosts = countOf(request.rawHeaders, 'host')
  if (hosts === 0 && version === '1.1') return invalid('Host header missing')
  // Two of them may be a request smuggled past a proxy that looks at the other one (RFC 9112, section 3.2).
  if (hosts > 1) return invalid('more than one Host')
  if (request.headers.authorization !== undefined && countOf(request.rawHeaders, 'authorization') > 1)
    return invalid('more than one Authorization')
  // Where such a request ends is another place to a proxy that knows no chunks (RFC 9112, section 6.1).
  if (version === '1.0' && request.headers['transfer-encoding'] !== undefined)
    return invalid('Transfer-Encoding is not of HTTP/1.0')
  return undefined
}

function invalid(message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', { message })
}

function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at]
    if (header?.length === name.length && header.toLowerCase() === name) count++
  }
  return count
}
