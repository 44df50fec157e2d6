/**
 * What LevelDB says when a database is damaged, in words that name the folder and the next step. It has no codes of its own
 * beyond corruption and I/O; the rest is in its messages.
 *
 * @module
 */
import { RegistryError } from '../errors.ts'

/** The database of a data folder cannot be used as it is; nothing of it was changed. */
export class MetadataUnusable extends Error {
  override readonly name = 'MetadataUnusable'
}

/** What to do about a database that is damaged. */
export const restoreMetadata =
  'Nothing else was touched. Stop the node, put a backup of this folder in its place (keep the damaged one beside it), and start again'

/** Why a database does not open; errors that have a meaning of their own pass untouched. */
export function explainOpening(folder: string, error: unknown): unknown {
  const said = error instanceof RegistryError ? undefined : levelMessage(error)
  if (said === undefined) return error
  return new MetadataUnusable(`the metadata in ${folder} cannot be opened: ${plain(said, folder)}`, { cause: error })
}

/**
 * A read or write that met damage while the node runs: clients get 503 without a path, the cause names folder and step. A
 * write that failed for another reason has been undone and may succeed the next time; its error passes untouched.
 */
export function explainUse(folder: string | undefined, step: 'reading' | 'writing', error: unknown): unknown {
  const said = error instanceof RegistryError ? undefined : levelMessage(error)
  if (said === undefined || (step === 'writing' && !said.startsWith('Corruption: '))) return error
  const where = folder ?? 'the database'
  const cause = new MetadataUnusable(`${step} the metadata in ${where} failed: ${plain(said, where)}`, { cause: error })
  return new RegistryError('METADATA_DAMAGED', { cause })
}

function plain(said: string, folder: string): string {
  if (/permission denied|operation not permitted/i.test(said)) {
    const file = /(\/.*?): (?:permission denied|operation not permitted)/i.exec(said)?.[1] ?? folder
    return `this user may not read and write ${file}: give that file to the user that runs the node`
  }
  const missing = /e\.g\.: (\S.*)$/.exec(said)?.[1] ?? /(\/.*): No such file or directory/i.exec(said)?.[1]
  if (missing !== undefined) {
    // The one file that is named by another, CURRENT.
    const isMisnamed = !/\/(?:MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/.test(missing)
    return `${isMisnamed ? 'its file CURRENT is damaged' : `${printed(missing)} is missing`}. ${restoreMetadata}`
  }
  if (/read-only file system/i.test(said)) return 'the file system is read-only: mount it writable'
  return `it is damaged (${printed(said)}). ${restoreMetadata}`
}

/** A damaged file may name anything. */
function printed(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f\ufffd]/g, '?').replace(/^(Corruption|IO error): /, '')
}

/** The message of LevelDB itself, below what its wrappers say. */
function levelMessage(error: unknown): string | undefined {
  let said: string | undefined
  for (let current = error; current instanceof Error; current = current.cause) {
    if (/^(Corruption|IO error|Invalid argument): /.test(current.message)) said = current.message
  }
  return said
}
