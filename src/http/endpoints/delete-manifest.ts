import { RegistryError } from '../../errors.ts'
import type { ManifestReference } from '../../oci/reference.ts'
import type { Door } from '../door.ts'
import { parseIfMatch } from '../etag.ts'
import type { Exchange } from '../exchange.ts'

/** end-9: a digest takes its tags with it, a tag goes alone. */
export async function deleteManifest(
  door: Door,
  exchange: Exchange,
  target: { repository: string; reference: ManifestReference }
): Promise<void> {
  const { repository, reference } = target
  const ifMatch = parseIfMatch(exchange.header('if-match'))
  if (ifMatch !== undefined) {
    // Not atomic with the deletion, but better than ignoring what the client asked for.
    const { digest } = await door.registry.getManifest(repository, reference, exchange.abortable)
    if (!ifMatch.some(value => value === '*' || value === digest)) throw new RegistryError('MANIFEST_CHANGED')
  }
  if ('digest' in reference) await door.registry.deleteManifest(repository, reference.digest, exchange.abortable)
  else await door.registry.deleteTag(repository, reference.tag, exchange.abortable)
  exchange.send(202, [])
}
