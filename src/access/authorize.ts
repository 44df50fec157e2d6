import type { Subject } from './subject.ts'

/**
 * What someone may want to do to a repository. `push` writes, and moves tags; `create` writes what is new and moves no tag;
 * `fetch` makes this node go and get something; `admin` is about the node and includes all the others.
 */
export const actions = ['pull', 'push', 'create', 'delete', 'fetch', 'admin'] as const
export type Action = (typeof actions)[number]

/**
 * The one rule asked at every door (invariant 9). Synchronous: it decides from what is in memory, and again at each
 * request, so that what was taken from somebody is gone with the next one.
 */
export type Authorize = (subject: Subject, action: Action, repository: string) => boolean

/** No access control at all: for a node that nobody else can reach, and `access: open`. */
export const openAccess: Authorize = () => true
