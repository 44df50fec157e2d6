import { isRepository } from '../oci/reference.ts'
import type { Action, Authorize } from './authorize.ts'
import type { Caller, Verdict } from './caller.ts'
import type { Scope } from './scope.ts'
import type { Subject } from './subject.ts'

/** The word of a scope for each action. None for `admin`, which no bearer token carries. */
const scopeActions: Readonly<Record<Action, string | undefined>> = {
  pull: 'pull',
  fetch: 'pull',
  push: 'push',
  create: 'push',
  delete: 'delete',
  admin: undefined
}

/** The least a subject must be allowed for a word of a scope to be granted; the door asks for the rest. */
const leastActions: Readonly<Record<string, Action>> = { pull: 'pull', push: 'create', delete: 'delete' }

/** Whether a caller may do something to a repository, and if not, whether another bearer token would help. */
export function permits(authorize: Authorize, caller: Caller, action: Action, repository: string): Verdict {
  const { subject, scopes } = caller
  if (!authorize(subject, action, repository)) {
    // Its server decides; only a token that it issues for this can tell.
    return subject.kind === 'external' && action !== 'admin' ? 'insufficient-scope' : 'denied'
  }
  if (scopes === undefined) return 'allowed'
  const wanted = scopeActions[action]
  if (wanted === undefined) return 'denied'
  return covers(scopes, 'repository', repository, wanted) ? 'allowed' : 'insufficient-scope'
}

/** Whether scopes include an action on a resource, e.g. `registry`, `catalog`, `*`. */
export function covers(scopes: readonly Scope[], type: string, name: string, action: string): boolean {
  for (const scope of scopes) {
    if (scope.name !== name || scope.type !== type) continue
    if (scope.actions.includes(action) || scope.actions.includes('*')) return true
  }
  return false
}

/**
 * What a subject gets of what it asked for. A scope of which nothing is left is left out. `registry:catalog:*` is for
 * everybody, because the catalog lists to each what it may pull.
 */
export function grantScopes(authorize: Authorize, subject: Subject, asked: readonly Scope[]): Scope[] {
  return asked
    .map(scope => ({ ...scope, actions: grantedActions(authorize, subject, scope) }))
    .filter(scope => scope.actions.length > 0)
}

function grantedActions(authorize: Authorize, subject: Subject, { type, name, actions }: Scope): string[] {
  if (type === 'registry') return name === 'catalog' ? actions.filter(action => action === '*') : []
  if (type !== 'repository' || !isRepository(name)) return []
  const wanted = actions.includes('*') ? Object.keys(leastActions) : actions
  return wanted.filter(word => {
    const least = Object.hasOwn(leastActions, word) ? leastActions[word] : undefined
    return least !== undefined && authorize(subject, least, name)
  })
}
