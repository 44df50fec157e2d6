import { isDeepStrictEqual } from 'node:util'
import { isRecord } from './defaults.ts'
import type { Config } from './schema.ts'

/** Dotted keys whose values differ, e.g. `http.addr`, in the order of the schema. A list, and a section that only one of them has, is one key. */
export function changedKeys(before: Config, after: Config): string[] {
  return [...differing(before, after, [])]
}

function* differing(before: unknown, after: unknown, path: readonly string[]): Generator<string> {
  if (isDeepStrictEqual(before, after)) return
  if (!isRecord(before) || !isRecord(after)) yield path.join('.')
  else for (const key of unionOfKeys(before, after)) yield* differing(before[key], after[key], [...path, key])
}

function unionOfKeys(...values: readonly object[]): Set<string> {
  return new Set(values.flatMap(value => Object.keys(value)))
}
