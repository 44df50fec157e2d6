import type { ManifestReference } from '../../oci/reference.ts'
import type { Door } from '../door.ts'
import { etagOf, noneMatchNames } from '../etag.ts'
import type { Exchange } from '../exchange.ts'
import { immutable } from '../manifest-headers.ts'

/** end-3, GET and HEAD. The stored type is answered whatever `Accept` says: there is one representation. */
export async function getManifest(
  door: Door,
  exchange: Exchange,
  target: { repository: string; reference: ManifestReference }
): Promise<void> {
  const { repository, reference } = target
  const manifest = await door.registry.getManifest(repository, reference, exchange.abortable)
  const byDigest = 'digest' in reference
  if (noneMatchNames(exchange.header('if-none-match'), manifest.digest)) {
    const headers = ['ETag', etagOf(manifest.digest), 'Docker-Content-Digest', manifest.digest]
    if (byDigest) headers.push('Cache-Control', immutable)
    return exchange.send(304, headers)
  }
  const headers = door.manifestHeaders.of(manifest)
  if (byDigest) headers.push('Cache-Control', immutable)
  exchange.send(200, headers, manifest.bytes)
}
