import { showKey } from './problem.ts'

/** Something wrong with a value that its own schema cannot tell. */
export interface Finding {
  /** JSON pointer. */
  pointer: string
  key: string
  sentence: string
}

export function finding(pointer: string, key: string, rest: string): Finding {
  return { pointer, key, sentence: `${showKey(key)}: ${rest}` }
}

/** For keys of words and indexes alone: `access[0].subject` is at `/access/0/subject`. */
export function findingAt(key: string, rest: string): Finding {
  return finding(`/${key.replaceAll(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')}`, key, rest)
}
