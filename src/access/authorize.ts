/** What someone may want to do to a repository. `fetch` makes this node go and get something; `admin` is about the node. */
export type Action = 'pull' | 'push' | 'create' | 'delete' | 'fetch' | 'admin'

/** Who asks. Later issues add users, groups, tokens and peers. */
export interface Subject {
  kind: 'anonymous' | 'operator'
}

export const anonymous: Subject = { kind: 'anonymous' }

/** Whoever can open the unix socket or the data folder already owns the node. */
export const operator: Subject = { kind: 'operator' }

/** The one rule asked at every door (invariant 9). Synchronous: it decides from what is in memory. */
export type Authorize = (subject: Subject, action: Action, repository: string) => boolean

/** No access control configured: everything is open. */
export const openAccess: Authorize = () => true
