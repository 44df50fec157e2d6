import type { RepositoryPattern } from './pattern.ts'
import { matchText } from './wildcard.ts'

/** Tags that, once set, can neither point elsewhere nor be deleted by the API. */
export interface ImmutableRule {
  readonly repositories: RepositoryPattern
  /** Name of a tag with `*` for any characters, e.g. `v*`. */
  readonly tags: string
}

/** The rule that keeps a tag where it is; `undefined` when it may be moved and deleted. */
export type ImmutableTag = (repository: string, tag: string) => ImmutableRule | undefined

export function createImmutableTags(rules: readonly ImmutableRule[]): ImmutableTag {
  return (repository, tag) => rules.find(rule => matchText(rule.tags, tag) && rule.repositories.matches(repository))
}

/** Whether a tag that is set may be made to point elsewhere, or to nothing. */
export function mayMoveTag(immutable: ImmutableTag, repository: string, tag: string): boolean {
  return immutable(repository, tag) === undefined
}

/** What whoever tries to move such a tag is told. */
export function immutableMessage(rule: ImmutableRule, tag: string): string {
  return `the tag ${tag} cannot be moved or deleted: tags ${rule.tags} of ${rule.repositories.text} are immutable by this registry's configuration (immutable); push under another tag`
}

/** What whoever tries to delete a part of the image of such a tag is told. */
export function immutablePartMessage(rule: ImmutableRule, tag: string, digest: string): string {
  return `${digest} cannot be deleted: the image of the tag ${tag} has it, and tags ${rule.tags} of ${rule.repositories.text} are immutable by this registry's configuration (immutable)`
}

/** Whether at least one tag can match it. */
export function isTagPattern(text: string): boolean {
  return /^[a-zA-Z0-9_*][a-zA-Z0-9._*-]{0,127}$/.test(text)
}
