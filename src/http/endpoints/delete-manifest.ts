import type { ManifestReference } from '../../oci/reference.ts'
import type { Door } from '../door.ts'
import { parseIfMatch } from '../etag.ts'
import type { Exchange } from '../exchange.ts'
import { refuseBelowImmutable, refuseMoveImmutable } from '../immutable-refusal.ts'

/** end-9: a digest takes its tags with it, a tag goes alone. */
export async function deleteManifest(
  door: Door,
  exchange: Exchange,
  target: { repository: string; reference: ManifestReference }
): Promise<void> {
  const { repository, reference } = target
  const ifMatch = parseIfMatch(exchange.header('if-match'))
  const options = { ...exchange.abortable, ...(ifMatch === undefined ? {} : { ifMatch }) }
  const refuseMove = refuseMoveImmutable(door, repository)
  if ('digest' in reference) {
    const refuseBelow = refuseBelowImmutable(door, repository, reference.digest)
    await door.registry.deleteManifest(repository, reference.digest, { ...options, refuseMove, refuseBelow })
  } else {
    const { tag } = reference
    const refusal = refuseMove(tag)
    if (refusal !== undefined) {
      // One that is not there is unknown, not immutable.
      await door.registry.getManifest(repository, { tag }, exchange.abortable)
      throw refusal
    }
    await door.registry.deleteTag(repository, tag, options)
  }
  exchange.send(202, [])
}
