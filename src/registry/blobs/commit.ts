import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { completeParents } from '../images/complete.ts'
import {
  type AbortOptions,
  type BlobRecord,
  type CommitOptions,
  type Mutation,
  type Precondition,
  PreconditionFailed,
  type StagedContent
} from '../ports.ts'
import { fitting, refuseIfFull } from '../quotas/fitting.ts'
import type { BlobView } from '../registry.ts'

/** A verified staged file about to become a blob of a repository. */
export interface BlobCommit {
  repository: string
  uploadId: string
  digest: Digest
  content: StagedContent
}

/**
 * Makes staged bytes, already hashed to `digest`, a blob (invariant 2). In this order, so that a crash at any point loses
 * nothing acknowledged and leaves no stray file: staged file and folder synced → one durable batch that also notes where
 * the file still is → rename. What is renamed but not yet synced is renamed again by `recover`.
 */
export async function commitBlob(
  registration: Registration,
  commit: BlobCommit,
  options?: AbortOptions
): Promise<BlobView> {
  const view = await registration.blobLocks.run(commit.digest, () => link(registration, commit, options), options)
  await completeParents(registration, commit.repository, commit.digest)
  return view
}

async function link(registration: Registration, commit: BlobCommit, options?: AbortOptions): Promise<BlobView> {
  const { staging, clock } = registration
  const { repository, uploadId, digest, content } = commit
  const own: Mutation[] = [
    { type: 'putLink', repository, digest, record: { at: clock.now() } },
    { type: 'deleteUpload', id: uploadId }
  ]
  const fits = fitting(registration, repository, { as: 'blob', digest, size: content.size })
  const present = await presentBlob(registration, digest, options)
  if (present !== undefined) {
    await apply(registration, own, [{ type: 'blobExists', digest }, ...fits], options)
    await staging.discard(uploadId)
    return { digest, size: present.size, root: present.root }
  }
  const dag = registration.dags.file(content)
  await staging.sync(uploadId)
  const record = { size: content.size, root: dag.root, dagSize: dag.dagSize }
  const mutations: Mutation[] = [
    { type: 'putBlob', digest, record, uploadId },
    { type: 'putBlocks', home: `blob:${digest}`, blocks: dag.blocks },
    ...own
  ]
  await apply(registration, mutations, fits)
  // The bytes were hashed on their way in: the first pull need not do it again.
  registration.verified.add(digest, await staging.place(uploadId, digest))
  registration.settler.add(digest)
  registration.stored?.(record.root)
  return { digest, size: record.size, root: record.root }
}

async function apply(
  registration: Registration,
  mutations: Mutation[],
  conditions: Precondition[],
  options?: CommitOptions
): Promise<void> {
  try {
    await registration.metadata.commit(mutations, conditions, options)
  } catch (error) {
    if (error instanceof PreconditionFailed) await refuseIfFull(registration, error)
    throw error
  }
}

/** The record, when its file is really there: a push heals a blob whose file went missing. */
export async function presentBlob(
  registration: Registration,
  digest: Digest,
  options?: AbortOptions
): Promise<BlobRecord | undefined> {
  const record = await registration.metadata.blob(digest, options)
  if (record === undefined) return undefined
  const file = await registration.files.open(digest)
  await file?.close()
  return file?.size === record.size ? record : undefined
}
