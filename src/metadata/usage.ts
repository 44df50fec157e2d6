import type { Digest } from '../oci/digest.ts'
import type { Precondition, RevisionRecord } from '../registry/ports.ts'
import type { RepositoryChange } from './apply.ts'
import { keys } from './keys.ts'
import type { Layer } from './layer.ts'
import { decode, encode } from './records.ts'
import type { View } from './view.ts'

/**
 * Bytes that each repository holds: of the blobs it links and of its manifests, every digest once. Written in the batch
 * that links and unlinks, so it is exact at any moment and after a crash. What a link counts is kept in the link, since
 * the blob's own record may be gone by the time the link goes.
 */
export async function usageOf(view: View, repository: string): Promise<number> {
  return Number((await view.text(keys.usage(repository))) ?? 0)
}

async function addUsage(layer: Layer, view: View, repository: string, bytes: number): Promise<void> {
  if (bytes === 0) return
  const total = (await usageOf(view, repository)) + bytes
  if (total > 0) layer.put(keys.usage(repository), String(total))
  else layer.del(keys.usage(repository))
}

export async function putLink(
  layer: Layer,
  view: View,
  { repository, digest, record }: Extract<RepositoryChange, { type: 'putLink' }>
): Promise<void> {
  const counted = await countedLink(view, repository, digest)
  const size = counted ?? (await blobSize(view, digest))
  layer.put(keys.link(repository, digest), encode.link(record, size))
  layer.put(keys.holder(digest, repository), '')
  await addUsage(layer, view, repository, (size ?? 0) - (counted ?? 0))
}

/** The link alone; whether the repository still holds the digest is the caller's to see. */
export async function deleteLink(layer: Layer, view: View, repository: string, digest: Digest): Promise<void> {
  const counted = await countedLink(view, repository, digest)
  layer.del(keys.link(repository, digest))
  await addUsage(layer, view, repository, -(counted ?? 0))
}

export async function putRevision(
  layer: Layer,
  view: View,
  { repository, digest, record }: Extract<RepositoryChange, { type: 'putRevision' }>
): Promise<void> {
  const before = await revision(view, repository, digest)
  layer.put(keys.revision(repository, digest), encode.revision(record))
  layer.put(keys.holder(digest, repository), '')
  await addUsage(layer, view, repository, record.size - (before?.size ?? 0))
}

/** A manifest that the repository does not hold stays so. */
export async function useRevision(
  layer: Layer,
  view: View,
  repository: string,
  digest: Digest,
  at: number
): Promise<void> {
  const before = await revision(view, repository, digest)
  if (before === undefined || (before.used ?? Number.NEGATIVE_INFINITY) >= at) return
  layer.put(keys.revision(repository, digest), encode.revision({ ...before, used: at }))
}

/** The revision alone, as {@link deleteLink}. */
export async function deleteRevision(layer: Layer, view: View, repository: string, digest: Digest): Promise<void> {
  const before = await revision(view, repository, digest)
  layer.del(keys.revision(repository, digest))
  await addUsage(layer, view, repository, -(before?.size ?? 0))
}

/** Whether the repository has it already, or has room for it. */
export async function fits(view: View, condition: Extract<Precondition, { type: 'fits' }>): Promise<boolean> {
  const { repository, digest, size, limit } = condition
  const key = condition.as === 'blob' ? keys.link(repository, digest) : keys.revision(repository, digest)
  return (await view.has(key)) || (await usageOf(view, repository)) + size <= limit
}

async function countedLink(view: View, repository: string, digest: Digest): Promise<number | undefined> {
  const text = await view.text(keys.link(repository, digest))
  return text === undefined ? undefined : decode.linkSize(text)
}

async function blobSize(view: View, digest: Digest): Promise<number | undefined> {
  const text = await view.text(keys.blob(digest))
  return text === undefined ? undefined : decode.blobSize(text)
}

async function revision(view: View, repository: string, digest: Digest): Promise<RevisionRecord | undefined> {
  const text = await view.text(keys.revision(repository, digest))
  return text === undefined ? undefined : decode.revision(text)
}
