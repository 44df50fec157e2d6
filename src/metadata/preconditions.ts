import type { Precondition } from '../registry/ports.ts'
import { keys, prefixes } from './keys.ts'
import { decode } from './records.ts'
import { fits } from './usage.ts'
import type { View } from './view.ts'

/** Those preconditions that do not hold. */
export async function failedPreconditions(view: View, preconditions: readonly Precondition[]): Promise<Precondition[]> {
  const failed: Precondition[] = []
  for (const condition of preconditions) {
    if (!(await holds(view, condition))) failed.push(condition)
  }
  return failed
}

async function holds(view: View, condition: Precondition): Promise<boolean> {
  switch (condition.type) {
    case 'blobExists':
      return view.has(keys.blob(condition.digest))
    case 'blobAbsent':
      return !(await view.has(keys.blob(condition.digest)))
    case 'linkExists':
      return view.has(keys.link(condition.repository, condition.digest))
    case 'linkAt': {
      const link = await view.text(keys.link(condition.repository, condition.digest))
      return link !== undefined && decode.link(link).at === condition.at
    }
    case 'unreferenced':
      if (await view.has(keys.referenceUpgrade)) return false
      return !(await view.anyUnder(prefixes.references(condition.repository, condition.digest)))
    case 'unlinked':
      return !(await view.anyUnder(prefixes.holders(condition.digest)))
    case 'revisionExists':
      return view.has(keys.revision(condition.repository, condition.digest))
    case 'revisionIs': {
      const revision = await view.text(keys.revision(condition.repository, condition.digest))
      return (revision === undefined ? undefined : decode.revision(revision).mediaType) === condition.mediaType
    }
    case 'revisionAt': {
      const revision = await view.text(keys.revision(condition.repository, condition.digest))
      return revision !== undefined && decode.revision(revision).at === condition.at
    }
    case 'revisionUsed': {
      const revision = await view.text(keys.revision(condition.repository, condition.digest))
      return revision !== undefined && decode.revision(revision).used === condition.used
    }
    case 'manifestIs': {
      const bytes = await view.bytes(keys.manifest(condition.digest))
      if (bytes === undefined || condition.bytes === undefined) return bytes === condition.bytes
      return Buffer.from(bytes).equals(condition.bytes)
    }
    case 'untagged': {
      const { repository, digest, except = [] } = condition
      const besides = new Set(except.map(tag => keys.tagged(repository, digest, tag)))
      return !(await view.anyUnder(prefixes.tagged(repository, digest), besides))
    }
    case 'tagIs': {
      const tag = await view.text(keys.tag(condition.repository, condition.tag))
      if (condition.digest === 'any') return tag !== undefined
      return (tag === undefined ? undefined : decode.tag(tag).digest) === condition.digest
    }
    case 'fits':
      return fits(view, condition)
    case 'uploadExists':
      return view.has(keys.upload(condition.id))
  }
}
