import type { Digest } from '../../oci/digest.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'

/** end-10. */
export async function deleteBlob(
  door: Door,
  exchange: Exchange,
  target: { repository: string; digest: Digest }
): Promise<void> {
  await door.registry.deleteBlob(target.repository, target.digest, exchange.abortable)
  exchange.send(202, ['Docker-Content-Digest', target.digest])
}
