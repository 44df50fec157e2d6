/**
 * Names of repositories with wildcards, as rules, tokens and quotas write them: `*` stands for any characters within one
 * component, `**` as a whole component for any number of components, also none. `team/**` is `team`, `team/app` and
 * `team/app/base`; `**` is every repository.
 */
export interface RepositoryPattern {
  /** As it was written. */
  readonly text: string
  matches(repository: string): boolean
  /**
   * Orders the patterns that match one repository: the larger is the more specific. An exact name before a pattern, then
   * more literal characters, then `*` before `**`.
   */
  readonly specificity: number
}
