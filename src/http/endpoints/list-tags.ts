import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { nextLink, parsePage } from '../pagination.ts'

/** end-8a, end-8b. Byte order. */
export async function listTags(door: Door, exchange: Exchange, { repository }: { repository: string }): Promise<void> {
  const { limit, after } = parsePage(exchange.query, door.init.pageSize)
  // `n=0` still has to tell an empty page from an unknown repository.
  const page = await door.registry.listTags(repository, {
    limit: Math.max(1, limit),
    ...(after === undefined ? {} : { after }),
    signal: exchange.signal
  })
  const headers = ['Content-Type', 'application/json']
  if (limit > 0 && page.next !== undefined) {
    headers.push('Link', nextLink(`${door.locations.prefix}/v2/${repository}/tags/list`, page.next, limit))
  }
  exchange.send(200, headers, JSON.stringify({ name: repository, tags: limit === 0 ? [] : page.items }))
}
