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

/** Whether a name is `<NAME>_FILE` of a secret of the schema; an index and the key of a map may be any. */
export function secretFileNames(schema: TSchema): (name: string) => boolean {
  const patterns: RegExp[] = []
  for (const { name, variable, schema: key } of walkKeys(schema)) {
    if (annotations(key).secret !== true) continue
    // The spelling with the dash that `docker run -e` and compose files can set.
    const last = name.slice(name.lastIndexOf('.') + 1).toUpperCase()
    const dashed = last.includes('-') ? [`${variable.slice(0, -last.length)}${last}`] : []
    for (const spelling of [variable, ...dashed]) {
      const any = spelling.replaceAll('<NAME>', '[^_]+').replaceAll(/_0(?=_|$)/g, '_\\d{1,6}')
      patterns.push(new RegExp(`^${any}_FILE$`))
    }
  }
  return name => patterns.some(pattern => pattern.test(name))
}

/** Reads the files that `<NAME>_FILE` variables name. A last newline is no part of the secret; nothing is YAML there. */
export async function readSecretFiles(
  schema: TSchema,
  environment: Environment
): Promise<{ contents: Map<string, string>; problems: Problem[] }> {
  const contents = new Map<string, string>()
  const problems: Problem[] = []
  const isSecretFile = secretFileNames(schema)
  for (const [name, file] of overridingVariables(environment)) {
    if (!isSecretFile(name) || file === '') continue
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
