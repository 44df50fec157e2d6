/**
 * A configuration with something wrong in it, whose rest is to be judged all the same: an operator mends a file once, not once
 * for every round of checks.
 *
 * @module
 */
import { isRecord } from './defaults.ts'

/** Somebody asked for a value that is wrong, so that what follows from it cannot be judged. */
export class Unjudged extends Error {
  override readonly name = 'Unjudged'
}

/**
 * Puts what throws {@link Unjudged} in the place of each of these values of `config`, which is changed.
 *
 * @param pointers JSON pointers; one that leads nowhere stands for the nearest value above it
 */
export function forbid(config: unknown, pointers: Iterable<string>): void {
  for (const pointer of [...pointers].sort()) {
    const place = placeOf(config, pointer)
    if (place === undefined) continue
    Object.defineProperty(place.parent, place.key, {
      get: () => {
        throw new Unjudged(`${pointer} is wrong`)
      },
      enumerable: true,
      configurable: true
    })
  }
}

/** Takes these values away, so that what is left can be decoded. An entry of a list leaves its place behind. */
export function blank(config: unknown, pointers: Iterable<string>): void {
  for (const pointer of pointers) {
    const place = placeOf(config, pointer)
    if (place !== undefined) Reflect.set(place.parent, place.key, undefined)
  }
}

/** What there is to say, as far as it can be judged. */
export function* judge<T>(check: () => Iterable<T>): Generator<T> {
  try {
    yield* check()
  } catch (error) {
    if (!(error instanceof Unjudged)) throw error
  }
}

function placeOf(config: unknown, pointer: string): { parent: object; key: string } | undefined {
  const parts = pointer.split('/').slice(1)
  let parent: unknown = config
  for (const [index, part] of parts.entries()) {
    if (!isRecord(parent) && !Array.isArray(parent)) return undefined
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    const { value: child, get } = Object.getOwnPropertyDescriptor(parent, key) ?? {}
    if (get !== undefined) return undefined
    if (index === parts.length - 1 || typeof child !== 'object' || child === null) return { parent, key }
    parent = child
  }
  return undefined
}
