import type { WellFormedDigest } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { ReferrerDescriptor } from '../../registry/ports.ts'
import type { Page } from '../../registry/registry.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { inTurn } from '../in-turn.ts'
import { nextLink, parsePage } from '../pagination.ts'

/** end-12a, end-12b. A page is an image index of at most the manifest limit, since clients read it as one. */
export async function listReferrers(
  door: Door,
  exchange: Exchange,
  { repository, digest }: { repository: string; digest: WellFormedDigest }
): Promise<void> {
  const { limit, after } = parsePage(exchange.query, door.init.pageSize)
  const artifactType = exchange.query.get('artifactType') || undefined
  const filter = artifactType === undefined ? {} : { artifactType }
  const page: Page<ReferrerDescriptor> =
    limit === 0
      ? { items: [] }
      : await inTurn(door.lists, exchange, () =>
          door.registry.listReferrers(repository, digest, {
            limit,
            maxBytes: door.init.manifestLimit - Buffer.byteLength(render([])),
            ...(after === undefined ? {} : { after }),
            ...filter,
            signal: exchange.signal
          })
        )
  const headers = ['Content-Type', mediaTypes.ociIndex]
  if (artifactType !== undefined) headers.push('OCI-Filters-Applied', 'artifactType')
  if (page.next !== undefined) {
    headers.push(
      'Link',
      nextLink(`${door.locations.prefix}/v2/${repository}/referrers/${digest}`, page.next, limit, filter)
    )
  }
  exchange.send(200, headers, render(page.items))
}

function render(manifests: readonly ReferrerDescriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
}
