import { RegistryError } from '../errors.ts'

/**
 * What a bearer token is for, as clients ask and challenges name it: `repository:team/app:pull,push`,
 * `registry:catalog:*`. The grammar is that of distribution's token scope documentation.
 */
export interface Scope {
  /** `repository`, `registry`, or what somebody else invented. */
  type: string
  /** Resource class, `plugin` of `repository(plugin):…`; nothing here depends on it. */
  class?: string
  /** May begin with `host:port/`. */
  name: string
  actions: readonly string[]
}

/** Scopes of one request. Docker asks for one or two, a pull of many images by containerd for a few more. */
export const maxScopes = 100
/** Characters of all `scope` parameters of a request together. */
export const maxScopeLength = 16 * 1024

/** `resourcetype:resourcename:actions`; the name runs to the last colon, since a port in it has one too. */
const grammar =
  /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?:([^\s"\\:]+(?::\d{1,5}\/[^\s"\\:]+)?):((?:[a-z]*|\*)(?:,(?:[a-z]*|\*))*)$/

/**
 * Reads the `scope` parameters of a request: there may be several, each with several scopes separated by spaces. What is
 * no scope is passed over, as distribution's servers do: nothing is granted for it. The same resource named twice is one
 * scope with the actions of both.
 *
 * @throws {RegistryError} REQUEST_INVALID for more than {@link maxScopes} or {@link maxScopeLength}
 */
export function parseScopes(parameters: string | readonly string[]): Scope[] {
  const given = typeof parameters === 'string' ? [parameters] : parameters
  const length = given.reduce((sum, parameter) => sum + parameter.length + 1, 0)
  if (length > maxScopeLength + 1) throw tooMuch(`scope is longer than ${maxScopeLength} characters`)
  const scopes = new Map<string, Scope>()
  let count = 0
  for (const text of given.join(' ').split(' ')) {
    if (text === '') continue
    if (++count > maxScopes) throw tooMuch(`scope names more than ${maxScopes} resources`)
    const scope = parseScope(text)
    if (scope === undefined) continue
    const key = text.slice(0, text.lastIndexOf(':'))
    const actions = new Set([...(scopes.get(key)?.actions ?? []), ...scope.actions])
    scopes.set(key, { ...scope, actions: [...actions] })
  }
  return [...scopes.values()]
}

function tooMuch(what: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', { message: `${what}; ask for fewer at once` })
}

function parseScope(text: string): Scope | undefined {
  const match = grammar.exec(text)
  if (match === null) return undefined
  const [, type = '', resourceClass, name = '', actions = ''] = match
  return {
    type,
    ...(resourceClass === undefined ? {} : { class: resourceClass }),
    name,
    actions: actions.split(',').filter(action => action !== '')
  }
}

/** As `scope` parameters and challenges write them. */
export function formatScopes(scopes: readonly Scope[]): string {
  return scopes.map(formatScope).join(' ')
}

function formatScope({ type, class: resourceClass, name, actions }: Scope): string {
  return `${type}${resourceClass === undefined ? '' : `(${resourceClass})`}:${name}:${actions.join(',')}`
}
