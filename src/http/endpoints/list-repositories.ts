import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import type { Visitor } from '../guard.ts'
import { nextLink, parsePage } from '../pagination.ts'

/** `GET /v2/_catalog` of the original Docker API: what the caller may pull, in byte order. */
export async function listRepositories(door: Door, exchange: Exchange, visitor: Visitor): Promise<void> {
  door.guard.demandCatalog(visitor)
  const { limit, after } = parsePage(exchange.query, door.init.pageSize)
  const headers = ['Content-Type', 'application/json']
  if (limit === 0) return exchange.send(200, headers, JSON.stringify({ repositories: [] }))
  const page = await door.registry.listRepositories(
    { limit, ...(after === undefined ? {} : { after }), signal: exchange.signal },
    repository => door.guard.hasRight(visitor, 'pull', repository)
  )
  if (page.items.length === 0 && after === undefined) door.guard.inviteToCatalog(visitor)
  if (page.next !== undefined) headers.push('Link', nextLink(`${door.locations.prefix}/v2/_catalog`, page.next, limit))
  exchange.send(200, headers, JSON.stringify({ repositories: page.items }))
}
