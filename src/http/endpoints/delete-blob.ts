import type { Digest } from '../../oci/digest.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { refuseBelowImmutable } from '../immutable-refusal.ts'

/** end-10. */
export async function deleteBlob(
  door: Door,
  exchange: Exchange,
  target: { repository: string; digest: Digest }
): Promise<void> {
  const { repository, digest } = target
  const refuseBelow = refuseBelowImmutable(door, repository, digest)
  await door.registry.deleteBlob(repository, digest, { ...exchange.abortable, refuseBelow })
  exchange.send(202, ['Docker-Content-Digest', digest])
}
