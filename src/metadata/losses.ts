import type { Digest } from '../oci/digest.ts'
import { type LossKind, lossKinds } from '../registry/ports.ts'
import type { Change } from './apply.ts'
import { keys, prefixes } from './keys.ts'
import type { Layer } from './layer.ts'
import { encode } from './records.ts'
import type { View } from './view.ts'

/**
 * What was here and is lost, by kind and digest, and how many there are of each kind. Both are written in the batch that
 * makes them true: the bytes come back, or nobody holds them any more, and the record goes with that very commit. So the
 * count is one look-up at any moment, also after a restart.
 */
export async function putLoss(
  layer: Layer,
  view: View,
  { kind, digest, record }: Extract<Change, { type: 'putLoss' }>
): Promise<void> {
  // What no repository holds is missed by nobody; its last link may have gone while its file was hashed.
  if (!(await view.anyUnder(prefixes.holders(digest)))) return
  const key = keys.loss(kind, digest)
  // The first who met it knows most: when, and where its bytes went.
  if (await view.has(key)) return
  layer.put(key, encode.loss(record))
  await countLosses(layer, view, kind, 1)
}

export async function deleteLoss(layer: Layer, view: View, kind: LossKind, digest: Digest): Promise<void> {
  const key = keys.loss(kind, digest)
  if (!(await view.has(key))) return
  layer.del(key)
  await countLosses(layer, view, kind, -1)
}

/** After a repository let go of the digest: when it was the last one, nothing is lost any more. */
export async function forgetUnheld(layer: Layer, view: View, digest: Digest): Promise<void> {
  for (const kind of lossKinds) {
    // Asked first, since it is one look-up that nearly always ends it.
    if (!(await view.has(keys.loss(kind, digest)))) continue
    if (!(await view.anyUnder(prefixes.holders(digest)))) await deleteLoss(layer, view, kind, digest)
  }
}

async function countLosses(layer: Layer, view: View, kind: LossKind, by: 1 | -1): Promise<void> {
  const key = keys.lossCount(kind)
  const total = Number((await view.text(key)) ?? 0) + by
  if (total > 0) layer.put(key, String(total))
  else layer.del(key)
}
