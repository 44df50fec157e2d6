import { type ImmutableRule, immutableMessage, immutablePartMessage } from '../access/immutable.ts'
import { RegistryError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { RefuseMove } from '../registry/registry.ts'
import type { Door } from './door.ts'

/** Refuses to move or delete an immutable tag. */
export function refuseMoveImmutable({ immutable }: Door, repository: string): RefuseMove {
  return tag => {
    const rule = immutable(repository, tag)
    return rule && denied(immutableMessage(rule, tag), rule, repository, tag)
  }
}

/** Refuses to take away what the image of an immutable tag is made of: the tag would stay, and nothing to pull by it. */
export function refuseBelowImmutable({ immutable }: Door, repository: string, digest: Digest): RefuseMove {
  return tag => {
    const rule = immutable(repository, tag)
    return rule && denied(immutablePartMessage(rule, tag, digest), rule, repository, tag)
  }
}

function denied(message: string, rule: ImmutableRule, repository: string, tag: string): RegistryError {
  const { repositories, tags } = rule
  return new RegistryError('DENIED', {
    message,
    detail: { repository, tag, immutable: { repositories: repositories.text, tags } }
  })
}
