import { RegistryError } from '../errors.ts'
import type { RuleSubject } from './rules.ts'

/** Kinds of subjects, each with what a name of one looks like; `undefined` where there are no names. */
const kinds: Readonly<Record<RuleSubject['kind'], RegExp | undefined>> = {
  anonymous: undefined,
  // What a password file can hold as a name: spaces too, but at its ends.
  user: /^(?!\s)[^:\p{Cc}]{1,255}(?<!\s)$/u,
  // What a group file can.
  group: /^[^\s:,\p{Cc}]{1,255}$/u,
  token: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  // As libp2p writes them: Ed25519, secp256k1, and hashes of longer keys.
  peer: /^(?:12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|16Uiu2HA[1-9A-HJ-NP-Za-km-z]{45}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/
}

/** How a rule names its subject: `anonymous`, `user`, `user:alice`, `group:dev`, `token`, `token:ci`, `peer:12D3…`. */
export function parseRuleSubject(text: string): RuleSubject {
  const problem = wrongRuleSubject(text)
  if (problem !== undefined) throw new RegistryError('REQUEST_INVALID', { message: problem })
  const colon = text.indexOf(':')
  const kind = colon < 0 ? text : text.slice(0, colon)
  const name = colon < 0 ? undefined : text.slice(colon + 1)
  if (kind === 'group' && name !== undefined) return { kind, name }
  if (kind === 'user' || kind === 'token' || kind === 'peer') return name === undefined ? { kind } : { kind, name }
  return { kind: 'anonymous' }
}

/** What is wrong with a subject and what to write; `undefined` for a right one. */
export function wrongRuleSubject(text: string): string | undefined {
  const colon = text.indexOf(':')
  const kind = colon < 0 ? text : text.slice(0, colon)
  const shown = JSON.stringify(text.slice(0, 80))
  if (!isKind(kind))
    return `${shown} is no subject; write anonymous, user, user:NAME, group:NAME, token, token:NAME, peer or peer:ID`
  const form = kinds[kind]
  if (form === undefined) return colon < 0 ? undefined : `${shown}: ${kind} has no names; write ${kind} alone`
  if (colon < 0) return kind === 'group' ? 'group names no group; write group:NAME' : undefined
  if (form.test(text.slice(colon + 1))) return undefined
  if (kind === 'peer') return `${shown} names no peer; write its ID as "pinnace id" shows it, such as peer:12D3KooW…`
  if (kind === 'token')
    return `${shown} names no token; write its name as "pinnace token ls" shows it, such as token:ci`
  return `${shown} names no ${kind}; write ${kind}:NAME as the file of ${kind}s has it, at most 255 characters`
}

function isKind(text: string): text is RuleSubject['kind'] {
  return Object.hasOwn(kinds, text)
}
