import { closest, distance } from 'fastest-levenshtein'
import { type Key, walkKeys } from './keys.ts'

/** Names that other programs have for what is spelled otherwise here. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['http.port', 'http.addr'],
  ['http.listen', 'http.addr'],
  ['http.bind', 'http.addr'],
  ['ipfs.addr', 'ipfs.listen'],
  ['storage.path', 'storage.filesystem.rootdirectory'],
  ['storage.filesystem.path', 'storage.filesystem.rootdirectory']
])

/**
 * The key that somebody most likely meant who wrote `key`, a dotted name that is none: the sibling that is spelled like it, one
 * of that very name elsewhere, or what other programs call so; `undefined` where nothing is near.
 *
 * @param siblings names that there are beside it
 * @param keys every key of the schema, dotted
 */
export function nearestKey(key: string, siblings: readonly string[], keys: readonly string[]): string | undefined {
  const dot = key.lastIndexOf('.')
  const name = key.slice(dot + 1)
  const lower = name.toLowerCase()
  const parent = key.slice(0, dot + 1).replace(/\[\d+\]/g, '[]')
  const sibling = siblings.find(known => isBeginning(lower, known)) ?? spelledLike(lower, siblings)
  const other = otherNames.get(`${parent}${lower}`)
  if (sibling !== undefined && (other === undefined || isBeginning(lower, sibling))) return `${parent}${sibling}`
  return other ?? keys.find(known => known.endsWith(`.${lower}`))
}

/**
 * The variable that somebody most likely meant who set `name`, with its key; `undefined` where nothing is near.
 *
 * @param name with `REGISTRY_` before it
 */
export function nearestVariable(name: string, keys: readonly Key[]): Key | undefined {
  const upper = name.toUpperCase()
  const end = upper.slice('REGISTRY'.length)
  const other = otherNames.get(end.slice(1).toLowerCase().replaceAll('_', '.'))
  if (other !== undefined) return keys.find(key => key.name === other)
  const named = (variable: string | undefined) => keys.find(key => key.variable === variable)
  const variables = keys.map(({ variable }) => variable)
  // A level left out: REGISTRY_STORAGE_ROOTDIRECTORY.
  const [, first = '', last = ''] = /^_([^_]+).*?(_[^_]+)?$/.exec(end) ?? []
  const isDeeper = (variable: string) =>
    variable.endsWith(end) || (last.length > 4 && variable.startsWith(`REGISTRY_${first}_`) && variable.endsWith(last))
  return (
    named(spelledLike(upper, variables, Math.min(2, thirdOf(end)))) ??
    named(variables.find(isDeeper)) ??
    named(spelledLike(upper, variables, thirdOf(end)))
  )
}

/** The one with the same letters, else the nearest of those that differ in so many at most. */
function spelledLike(name: string, known: readonly string[], mistakes = thirdOf(name)): string | undefined {
  if (known.length === 0) return undefined
  const swapped = known.find(other => lettersOf(other) === lettersOf(name))
  if (swapped !== undefined) return swapped
  const nearest = closest(name, [...known])
  return distance(name, nearest) <= mistakes ? nearest : undefined
}

/** What may be wrong in a name that is still the same. */
function thirdOf(name: string): number {
  return Math.max(1, Math.floor(name.length / 3))
}

/** Two letters in the wrong order are the commonest mistake, and differ in half of a short name. */
function lettersOf(name: string): string {
  return [...name].sort().join('')
}

/** `arch` of `architecture`, `network` of `net`. */
function isBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) > 2 && (a.startsWith(b) || b.startsWith(a))
}

/** Keys that a variable can name, sections among them. */
export function variableKeys(schema: Parameters<typeof walkKeys>[0]): Key[] {
  return [...walkKeys(schema)].filter(({ variable }) => !variable.includes('<'))
}
