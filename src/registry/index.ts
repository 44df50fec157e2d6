/**
 * The registry's use cases, assembled. One verb a file; the ports they need are in `ports.ts`, the interface their doors
 * see in `registry.ts`.
 *
 * @module
 */

import type { Digest } from '../oci/digest.ts'
import { deleteBlob } from './blobs/remove.ts'
import { Settler } from './blobs/settle.ts'
import { statBlob } from './blobs/stat.ts'
import { VerifiedBlobs } from './blobs/verified.ts'
import type { Registration, RegistryComponents, RegistryInit } from './components.ts'
import { Fetches } from './fetch/fetches.ts'
import { openOrFetchBlob } from './fetch/open-blob.ts'
import { inspect } from './inspect.ts'
import { KeyedLock } from './keyed-lock.ts'
import { listReferrers, listRepositories, listTags } from './lists.ts'
import { countDamage, listAside, removeAside } from './maintenance/aside.ts'
import { collectGarbage, exclusive } from './maintenance/gc.ts'
import { listUntagged } from './maintenance/list-untagged.ts'
import { confirmRot } from './maintenance/quarantine.ts'
import { recover } from './maintenance/recover.ts'
import { planRepositoryRemoval, removeRepository } from './maintenance/remove-repository.ts'
import { planTagRemoval, removeTag } from './maintenance/remove-tag.ts'
import { scrub } from './maintenance/scrub.ts'
import { deleteManifest } from './manifests/delete.ts'
import { deleteTag } from './manifests/delete-tag.ts'
import { getManifest } from './manifests/get.ts'
import { putManifest } from './manifests/put.ts'
import { ReferenceUpgrade } from './manifests/reference-upgrade.ts'
import type { AbortOptions } from './ports.ts'
import type { GcOptions, Registry } from './registry.ts'
import { appendUpload } from './uploads/append.ts'
import { cancelUpload } from './uploads/cancel.ts'
import { finishUpload } from './uploads/finish.ts'
import { mountBlob } from './uploads/mount.ts'
import { OpenSessions } from './uploads/open-sessions.ts'
import { purgeUploads } from './uploads/purge.ts'
import { readSession } from './uploads/session.ts'
import { startUpload } from './uploads/start.ts'

const day = 24 * 60 * 60 * 1000

/** A registry that has recovered from whatever happened before, and how to stop it. */
export interface OpenRegistry {
  registry: Registry
  /** Somebody read bytes of the blob that do not hash: it is examined behind their back. */
  suspect(digest: Digest): void
  /** Begins, behind whatever else is done, what data of an earlier version still need; without it, garbage collection does. */
  upgrade(): void
  /** Finishes work behind requests; the ports are closed by whoever opened them. */
  close(): Promise<void>
}

export async function openRegistry(components: RegistryComponents, init: RegistryInit = {}): Promise<OpenRegistry> {
  const { fetch, ...rest } = init
  const registration: Registration = {
    ...components,
    init: {
      verifyReads: 'changed',
      graceMs: day,
      serving: true,
      maxUploads: 10_000,
      sparse: 'none',
      platforms: 'all',
      sessionWaitMs: 10_000,
      bodySilenceMs: 5_000,
      ...rest
    },
    blobLocks: new KeyedLock(),
    sessionLocks: new KeyedLock(),
    bodies: new Map(),
    verified: new VerifiedBlobs(),
    soundManifests: new WeakSet(),
    examining: new Set(),
    settler: new Settler(components),
    references: new ReferenceUpgrade(components)
  }
  const sessions = new OpenSessions()
  await recover(registration, sessions)
  const fetches = new Fetches(registration, sessions, fetch)
  return {
    registry: assemble(registration, sessions, fetches),
    suspect: digest => confirmRot(registration, digest),
    upgrade: () => registration.references.start(),
    close: async () => {
      await registration.references.close()
      await fetches.close()
      await registration.settler.close()
    }
  }
}

function abortable({ signal }: AbortOptions = {}): AbortOptions {
  return signal === undefined ? {} : { signal }
}

function assemble(registration: Registration, sessions: OpenSessions, fetches: Fetches): Registry {
  const waited = new KeyedLock()
  const collect = exclusive('garbage collection', (options?: GcOptions) => collectGarbage(registration, options))
  // Until then the absence of a reference says nothing: what takes away what nothing leads to waits for it.
  const referencesWritten = (options?: AbortOptions) => registration.references.finished(abortable(options))
  return {
    statBlob: (...args) => statBlob(registration, ...args),
    openBlob: (...args) => openOrFetchBlob(registration, fetches, ...args),
    deleteBlob: (...args) => deleteBlob(registration, ...args),
    startUpload: (repository, algorithm) => startUpload(registration, sessions, repository, algorithm),
    mountBlob: (...args) => mountBlob(registration, ...args),
    uploadStatus: async (repository, id, options) => ({
      id,
      size: (await readSession(registration, repository, id, options)).size
    }),
    appendUpload: (...args) => appendUpload(registration, sessions, ...args),
    finishUpload: (...args) => finishUpload(registration, sessions, ...args),
    cancelUpload: (...args) => cancelUpload(registration, sessions, ...args),
    getManifest: (...args) => getManifest(registration, ...args),
    putManifest: (...args) => putManifest(registration, ...args),
    deleteManifest: (...args) => deleteManifest(registration, ...args),
    deleteTag: (...args) => deleteTag(registration, ...args),
    planTagRemoval: async (repository, tags, options) => {
      await referencesWritten(options)
      return planTagRemoval(registration, repository, tags, options)
    },
    removeTag: async (repository, tag, options) => {
      await referencesWritten(options)
      return removeTag(registration, repository, tag, options)
    },
    planRepositoryRemoval: (...args) => planRepositoryRemoval(registration, ...args),
    removeRepository: async (repository, options) => {
      await referencesWritten(options)
      return removeRepository(registration, repository, options)
    },
    untagged: async function* (options) {
      await referencesWritten(options)
      yield* listUntagged(registration, options)
    },
    listTags: (...args) => listTags(registration, ...args),
    listRepositories: (...args) => listRepositories(registration, ...args),
    listReferrers: (...args) => listReferrers(registration, ...args),
    inspect: (...args) => inspect(registration, ...args),
    collectGarbage: async options => {
      const hadToWait = await registration.references.finished(options)
      // Who waited is not refused because another who did was first.
      return hadToWait ? waited.run('', () => collect(options), abortable(options)) : collect(options)
    },
    purgeUploads: (...args) => purgeUploads(registration, sessions, ...args),
    scrub: exclusive('scrub', options => scrub(registration, options)),
    countDamage: options => countDamage(registration, options),
    listQuarantine: options => listAside(registration, options),
    removeQuarantined: name => removeAside(registration, name)
  }
}
