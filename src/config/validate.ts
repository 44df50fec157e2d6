import { KindGuard, type TSchema } from '@sinclair/typebox'
import { Value, type ValueError } from '@sinclair/typebox/value'
import { annotations } from './fields.ts'
import { explainFormat } from './formats.ts'
import { holdsSecret, listOf } from './keys.ts'
import { type Place, type Problem, problemAt, showKey, showValue } from './problem.ts'

/**
 * Everything in `value` that the schema does not allow, by JSON pointer, each with its key, place, value and what to write
 * instead.
 */
export function validate(schema: TSchema, value: unknown, places: ReadonlyMap<string, Place>): Map<string, Problem> {
  const problems = new Map<string, Problem>()
  for (const error of innermost(Value.Errors(schema, value))) {
    // A value may fail several rules; the first says it.
    if (!problems.has(error.path)) problems.set(error.path, describe(error, places))
  }
  return problems
}

/** A list where a list or a word may stand is told what is wrong in it, not that it is neither. */
function* innermost(errors: Iterable<ValueError>): Generator<ValueError> {
  for (const error of errors) {
    const list = KindGuard.IsUnion(error.schema) && Array.isArray(error.value) ? listOf(error.schema) : undefined
    if (list === undefined) yield error
    else for (const inside of Value.Errors(list, error.value)) yield { ...inside, path: `${error.path}${inside.path}` }
  }
}

function describe(error: ValueError, places: ReadonlyMap<string, Place>): Problem {
  const key = keyOfPointer(error.path)
  const { noun, write } = kindOf(error.schema)
  const explained = explainFormat(error.schema.format, error.value)
  if (explained !== undefined) return problemAt(placeOf(error.path, places), `${showKey(key)}: ${explained}`, key)
  const sentence =
    error.value === undefined
      ? `${showKey(key)} is missing; write ${annotations(error.schema).missing ?? write}`
      : `${showKey(key)}: ${showWrong(error.value, error.schema)} is not ${noun}; write ${write}`
  return problemAt(placeOf(error.path, places), sentence, key)
}

function kindOf(schema: TSchema): { noun: string; write: string } {
  const { noun = 'right here', write = 'what docs/configuration.md says' } = annotations(schema)
  return KindGuard.IsObject(schema) ? { noun: 'a section', write: 'its keys under it' } : { noun, write }
}

/** The wrong value for a message, unless it is or may hold a secret. */
function showWrong(value: unknown, schema: TSchema): string {
  if (typeof value === 'symbol') return value.description ?? 'that'
  if (holdsSecret(schema)) return 'what was given (not shown)'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object' && value !== null) return 'a section'
  // A URL may carry a password.
  if (typeof value === 'string' && value.includes('@')) return 'what was given (not shown)'
  return showValue(value)
}

/** Where the value stands, or the nearest section around it. */
export function placeOf(pointer: string, places: ReadonlyMap<string, Place>): Place | undefined {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const place = places.get(at)
    if (place !== undefined) return place
  }
  return undefined
}

/** `http.addr[0]` as `/http/addr/0`; of keys of words and indexes alone. */
export function pointerOfKey(key: string): string {
  return `/${key.replaceAll(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')}`
}

/** `/http/addr/0` as `http.addr[0]`. */
export function keyOfPointer(pointer: string): string {
  return pointer
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`))
    .join('')
}
