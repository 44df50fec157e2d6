import { open } from 'node:fs/promises'
import type { TSchema } from '@sinclair/typebox'
import { type Environment, overridingVariables } from './environment.ts'
import { annotations } from './fields.ts'
import { walkKeys } from './keys.ts'
import { type Problem, problemAt } from './problem.ts'

/** Bytes; a larger configuration file is none. */
export const fileLimit = 1024 * 1024
/** Bytes; the longest access grants are a few KiB. */
const secretLimit = 64 * 1024

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ELOOP: 'too many symbolic links',
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is no folder',
  EPERM: 'permission denied'
}

/** A file's text, or why there is none. Reads pipes too, never more than `limit` bytes. */
export async function readText(file: string, limit: number): Promise<{ text: string } | { failure: string }> {
  try {
    await using handle = await open(file, 'r')
    const buffer = Buffer.allocUnsafe(limit + 1)
    let length = 0
    while (length <= limit) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length > limit) return { failure: `it is larger than ${limit} bytes` }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length)) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { failure: 'it is not UTF-8 text' }
    if (code === 'ERR_INVALID_ARG_VALUE') return { failure: 'that is no path' }
    return { failure: reasons[code] ?? (code === '' ? 'it cannot be read' : code) }
  }
}

/** Names of the variables `<NAME>_FILE`, one for every secret of the schema. */
export function secretFileVariables(schema: TSchema): Set<string> {
  const names = new Set<string>()
  for (const key of walkKeys(schema)) {
    if (annotations(key.schema).secret !== true) continue
    names.add(`${key.variable}_FILE`)
    // The spelling with the dash that `docker run -e` and compose files can set.
    const last = key.name.slice(key.name.lastIndexOf('.') + 1)
    names.add(`${key.variable.slice(0, -last.length)}${last.toUpperCase()}_FILE`)
  }
  return names
}

/** Reads the files that `<NAME>_FILE` variables name. A last newline is no part of the secret; nothing is YAML there. */
export async function readSecretFiles(
  schema: TSchema,
  environment: Environment
): Promise<{ contents: Map<string, string>; problems: Problem[] }> {
  const contents = new Map<string, string>()
  const problems: Problem[] = []
  const names = secretFileVariables(schema)
  for (const [name, file] of overridingVariables(environment)) {
    if (!names.has(name) || file === '') continue
    const read = await readText(file, secretLimit)
    const text = 'text' in read ? read.text.replace(/\r?\n$/, '') : undefined
    // Not the path: whoever mistook the variable for the secret itself would read it in a log.
    if (text === undefined && 'failure' in read) {
      problems.push(problemAt({ source: name }, `the file it names cannot be read: ${read.failure}`))
    } else if (text === undefined || text === '') {
      problems.push(problemAt({ source: name }, 'the file it names is empty'))
    } else contents.set(name, text)
  }
  return { contents, problems }
}
