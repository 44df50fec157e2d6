import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import type { Visitor } from '../guard.ts'
import { inTurn } from '../in-turn.ts'
import { nextLink, parsePage } from '../pagination.ts'

/** `GET /v2/_catalog` of the original Docker API: what the caller may pull, in byte order. A page may be short, also empty, where there is much else. */
export async function listRepositories(door: Door, exchange: Exchange, visitor: Visitor): Promise<void> {
  door.guard.demandCatalog(visitor)
  const { limit, after } = parsePage(exchange.query, door.init.pageSize, door.sealedNames)
  const headers = ['Content-Type', 'application/json']
  if (limit === 0) return exchange.send(200, headers, JSON.stringify({ repositories: [] }))
  const under = door.guard.reach(visitor, 'pull')
  const asked = { limit, under, ...(after === undefined ? {} : { after }), signal: exchange.signal }
  const page = await inTurn(door.lists, exchange, () =>
    door.registry.listRepositories(asked, repository => door.guard.hasRight(visitor, 'pull', repository))
  )
  const { items, next } = page
  if (items.length === 0 && next === undefined && after === undefined) door.guard.inviteToCatalog(visitor)
  if (next !== undefined) {
    // Behind what the visitor may not pull, there is no name of it.
    const last = next === items.at(-1) ? next : door.sealedNames.seal(next)
    headers.push('Link', nextLink(`${door.locations.prefix}/v2/_catalog`, last, limit))
  }
  exchange.send(200, headers, JSON.stringify({ repositories: items }))
}
