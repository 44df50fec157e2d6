import { RegistryError } from '../../errors.ts'
import type { ManifestReference } from '../../oci/reference.ts'
import type { Door } from '../door.ts'
import { parseIfMatch } from '../etag.ts'
import type { Exchange } from '../exchange.ts'
import { immutableRefusal } from '../immutable-refusal.ts'

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
  if ('digest' in reference) {
    const refuseMove = (tag: string) => refusalOf(door, repository, tag)
    await door.registry.deleteManifest(repository, reference.digest, { ...exchange.abortable, refuseMove })
  } else await deleteTag(door, exchange, repository, reference.tag)
  exchange.send(202, [])
}

async function deleteTag(door: Door, exchange: Exchange, repository: string, tag: string): Promise<void> {
  const refusal = refusalOf(door, repository, tag)
  if (refusal === undefined) return door.registry.deleteTag(repository, tag, exchange.abortable)
  // One that is not there is unknown, not immutable.
  await door.registry.getManifest(repository, { tag }, exchange.abortable)
  throw refusal
}

function refusalOf(door: Door, repository: string, tag: string): RegistryError | undefined {
  const rule = door.immutable(repository, tag)
  return rule === undefined ? undefined : immutableRefusal(rule, repository, tag)
}
