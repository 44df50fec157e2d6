import { setImmediate } from 'node:timers/promises'
import type { TokenRecord } from '../access/ports.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlockEntry, BlockHome, Mutation } from '../registry/ports.ts'
import { hexOf, keys, prefixes } from './keys.ts'
import type { Layer } from './layer.ts'
import { deleteLoss, forgetUnheld, putLoss } from './losses.ts'
import { decode, encode } from './records.ts'
import { deleteLink, deleteRevision, putLink, putRevision, useRevision } from './usage.ts'
import type { View } from './view.ts'

/** What the store itself records beside the mutations of its port. */
export type Change =
  | Mutation
  | { type: 'placed'; digest: Digest }
  | { type: 'removed'; digest: Digest }
  | { type: 'putToken'; record: TokenRecord }
  | { type: 'deleteToken'; id: string }

/** Blocks handled before the event loop gets a turn: a 10 GiB blob has ten thousand. */
const SLICE = 1024

/** Puts a change, and every index entry that follows from it, into the layer that `view` is seen through. */
export async function apply(layer: Layer, view: View, change: Change): Promise<void> {
  switch (change.type) {
    case 'putBlob':
      layer.put(keys.blob(change.digest), encode.blob(change.record))
      layer.put(keys.unplaced(change.digest), change.uploadId)
      layer.del(keys.doomed(change.digest))
      return deleteLoss(layer, view, 'blob', change.digest)
    case 'deleteBlob':
      layer.del(keys.blob(change.digest))
      layer.del(keys.unplaced(change.digest))
      return layer.put(keys.doomed(change.digest), '')
    case 'placed':
      return layer.del(keys.unplaced(change.digest))
    case 'removed':
      return layer.del(keys.doomed(change.digest))
    case 'putBlocks':
      return putBlocks(layer, change.home, change.blocks)
    case 'deleteBlocks':
      return deleteBlocks(layer, view, change.home, change.multihashes)
    case 'putManifest':
      layer.put(keys.manifest(change.digest), change.bytes)
      return deleteLoss(layer, view, 'manifest', change.digest)
    case 'deleteManifest':
      return layer.del(keys.manifest(change.digest))
    case 'putImage':
      return layer.put(keys.image(change.digest), encode.image(change.record))
    case 'deleteImage':
      return layer.del(keys.image(change.digest))
    case 'putReferenceUpgrade':
      return layer.put(keys.referenceUpgrade, encode.referenceUpgrade(change.record))
    case 'deleteReferenceUpgrade':
      return layer.del(keys.referenceUpgrade)
    case 'putUpload':
      return layer.put(keys.upload(change.id), encode.upload(change.record))
    case 'deleteUpload':
      return layer.del(keys.upload(change.id))
    case 'putLoss':
      return putLoss(layer, view, change)
    case 'deleteLoss':
      return deleteLoss(layer, view, change.kind, change.digest)
    case 'putToken':
      return layer.put(keys.token(change.record.id), encode.token(change.record))
    case 'deleteToken':
      return layer.del(keys.token(change.id))
    default:
      return applyToRepository(layer, view, change)
  }
}

export type RepositoryChange = Extract<Change, { repository: string }>

async function applyToRepository(layer: Layer, view: View, change: RepositoryChange): Promise<void> {
  const { repository } = change
  switch (change.type) {
    case 'putLink':
      return putLink(layer, view, change)
    case 'deleteLink':
      await deleteLink(layer, view, repository, change.digest)
      return leaveHolders(layer, view, repository, change.digest)
    case 'putRevision':
      return putRevision(layer, view, change)
    case 'deleteRevision':
      await deleteRevision(layer, view, repository, change.digest)
      return leaveHolders(layer, view, repository, change.digest)
    case 'useRevision':
      return useRevision(layer, view, repository, change.digest, change.at)
    case 'putTag':
      await untag(layer, view, repository, change.tag, change.record)
      layer.put(keys.tag(repository, change.tag), encode.tag(change.record))
      return layer.put(keys.tagged(repository, change.record.digest, change.tag), '')
    case 'deleteTag':
      await untag(layer, view, repository, change.tag, { at: change.at })
      return layer.del(keys.tag(repository, change.tag))
    case 'putReference':
      return layer.put(keys.reference(repository, change.child, change.parent), '')
    case 'deleteReference':
      return layer.del(keys.reference(repository, change.child, change.parent))
    case 'putReferrer': {
      const { subject, descriptor } = change
      return layer.put(keys.referrer(repository, subject, descriptor.digest), encode.referrer(descriptor))
    }
    case 'deleteReferrer':
      return layer.del(keys.referrer(repository, change.subject, change.digest))
  }
}

/** The repository holds the digest as long as it has a link or a revision of it. */
async function leaveHolders(layer: Layer, view: View, repository: string, digest: Digest): Promise<void> {
  if (await view.has(keys.link(repository, digest))) return
  if (await view.has(keys.revision(repository, digest))) return
  layer.del(keys.holder(digest, repository))
  await forgetUnheld(layer, view, digest)
}

/** The tag no longer names what it did; `next` says since when, and what it names instead. */
async function untag(
  layer: Layer,
  view: View,
  repository: string,
  tag: string,
  next: { at: number; digest?: Digest }
): Promise<void> {
  const record = await view.text(keys.tag(repository, tag))
  if (record === undefined) return
  const { digest } = decode.tag(record)
  layer.del(keys.tagged(repository, digest, tag))
  if (digest !== next.digest) await useRevision(layer, view, repository, digest, next.at)
}

async function putBlocks(layer: Layer, home: BlockHome, blocks: Iterable<BlockEntry>): Promise<void> {
  let count = 0
  for (const { multihash, place, bytes } of blocks) {
    const hex = hexOf(multihash)
    layer.put(keys.block(hex, home), encode.place(place))
    if (bytes !== undefined) layer.put(keys.node(hex), bytes)
    if (++count % SLICE === 0) await setImmediate()
  }
}

async function deleteBlocks(
  layer: Layer,
  view: View,
  home: BlockHome,
  multihashes: Iterable<Uint8Array>
): Promise<void> {
  let slice: string[] = []
  for (const multihash of multihashes) {
    slice.push(hexOf(multihash))
    if (slice.length < SLICE) continue
    await deleteSlice(layer, view, home, slice)
    slice = []
  }
  if (slice.length > 0) await deleteSlice(layer, view, home, slice)
}

/** A node's bytes go with its last home. Most blocks are leaves and have none, so that is asked first, for all at once. */
async function deleteSlice(layer: Layer, view: View, home: BlockHome, multihashes: string[]): Promise<void> {
  for (const multihash of multihashes) layer.del(keys.block(multihash, home))
  const stored = await view.hasMany(multihashes.map(keys.node))
  for (const [index, multihash] of multihashes.entries()) {
    if (stored[index] !== true) continue
    if (!(await view.anyUnder(prefixes.homes(multihash)))) layer.del(keys.node(multihash))
  }
}
