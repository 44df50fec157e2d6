import { type ImmutableRule, immutableMessage } from '../access/immutable.ts'
import { RegistryError } from '../errors.ts'

/** What whoever tries to move or delete an immutable tag is answered. */
export function immutableRefusal(rule: ImmutableRule, repository: string, tag: string): RegistryError {
  const { repositories, tags } = rule
  return new RegistryError('DENIED', {
    message: immutableMessage(rule, tag),
    detail: { repository, tag, immutable: { repositories: repositories.text, tags } }
  })
}
