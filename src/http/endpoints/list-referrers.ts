import type { Digest } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { ReferrerDescriptor } from '../../registry/ports.ts'
import type { Page } from '../../registry/registry.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { nextLink, parsePage } from '../pagination.ts'

/** end-12a, end-12b. A page is an image index of at most the manifest limit, since clients read it as one. */
export async function listReferrers(
  door: Door,
  exchange: Exchange,
  { repository, digest }: { repository: string; digest: Digest }
): Promise<void> {
  const { limit, after } = parsePage(exchange.query, door.init.pageSize)
  const artifactType = exchange.query.get('artifactType') || undefined
  const filter = artifactType === undefined ? {} : { artifactType }
  const list = (size: number): Promise<Page<ReferrerDescriptor>> =>
    door.registry.listReferrers(repository, digest, {
      limit: size,
      ...(after === undefined ? {} : { after }),
      ...filter,
      signal: exchange.signal
    })
  const { page, body } = limit === 0 ? render({ items: [] }) : await renderWithin(list, limit, door.init.manifestLimit)
  const headers = ['Content-Type', mediaTypes.ociIndex]
  if (artifactType !== undefined) headers.push('OCI-Filters-Applied', 'artifactType')
  if (page.next !== undefined) {
    headers.push(
      'Link',
      nextLink(`${door.locations.prefix}/v2/${repository}/referrers/${digest}`, page.next, limit, filter)
    )
  }
  exchange.send(200, headers, body)
}

interface Rendered {
  page: Page<ReferrerDescriptor>
  body: string
}

/** Annotations have no bound, so a page that came out too large is asked for again with fewer items. */
async function renderWithin(
  list: (size: number) => Promise<Page<ReferrerDescriptor>>,
  limit: number,
  maxBytes: number
): Promise<Rendered> {
  const rendered = render(await list(limit))
  const count = rendered.page.items.length
  const bytes = Buffer.byteLength(rendered.body)
  if (bytes <= maxBytes || count <= 1) return rendered
  return renderWithin(list, Math.max(1, Math.min(count - 1, Math.floor((count * maxBytes) / bytes))), maxBytes)
}

function render(page: Page<ReferrerDescriptor>): Rendered {
  return { page, body: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: page.items }) }
}
