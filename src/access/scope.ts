/**
 * What a bearer token is for, as clients ask and challenges name it: `repository:team/app:pull,push`,
 * `registry:catalog:*`. The grammar is that of distribution's token scope documentation.
 */
export interface Scope {
  /** `repository`, `registry`, or what somebody else invented. */
  type: string
  name: string
  actions: readonly string[]
}
