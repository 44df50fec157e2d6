/**
 * Files that an operator names: whether the system would let them be made, and what is told when it refuses, its code, which can
 * be searched for, and what to do.
 *
 * @module
 */
import { access, constants, mkdir, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** The system's name of an error, such as `ENOENT`; `unreadable` where it has none. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}

/**
 * `(ENOENT); make it: …`, to be put behind what cannot be read.
 *
 * @param make the command that makes the file, for when there is none
 */
export function mendReading(error: unknown, make?: string): string {
  const code = errnoOf(error)
  const advice: Record<string, string | undefined> = {
    ENOENT: make === undefined ? 'there is no such file' : `make it: ${make}`,
    EACCES: `let ${thisUser()} read it, with chown or chmod`,
    EPERM: `let ${thisUser()} read it, with chown or chmod`,
    EISDIR: 'it is a folder; name a file',
    ENOTDIR: 'a part of the path is no folder'
  }
  return withAdvice(code, advice[code])
}

/** `(EACCES); let user 998 …`, to be put behind what cannot be written or made. */
export function mendWriting(error: unknown): string {
  const code = errnoOf(error)
  const advice: Record<string, string | undefined> = {
    EACCES: `let ${thisUser()} write there, with chown or chmod`,
    EPERM: `let ${thisUser()} write there, with chown or chmod`,
    EROFS:
      'the file system is read-only here: mount it writable, or open the folder to the service (ReadWritePaths= of systemd)',
    EISDIR: 'it is a folder; name a file',
    EOPNOTSUPP: 'the system keeps no files there; name another',
    ESPIPE: 'it is no regular file; name one',
    EEXIST: 'its folder is a file; name another',
    ENOTDIR: 'a part of the path is no folder; name another'
  }
  return withAdvice(code, advice[code])
}

/**
 * Whether files can be made in a folder, after `mkdir -p` of it; changes nothing.
 *
 * @throws what the system would say to that
 */
export async function tryFolder(folder: string): Promise<void> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const found = await stat(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT' || path === dirname(path)) throw error
      return undefined
    })
    if (found === undefined) continue
    if (found.isDirectory()) {
      const { type } = await statfs(path)
      if (type === procfs)
        throw systemError({ code: 'EOPNOTSUPP', path, syscall: 'mkdir' }, `the system keeps no files in ${path}`)
      return access(path, constants.W_OK | constants.X_OK)
    }
    const code = path === resolve(folder) ? 'EEXIST' : 'ENOTDIR'
    throw systemError({ code, path, syscall: 'mkdir' }, `${path} is no folder`)
  }
}

/**
 * `mkdir -p`, mode 0700.
 *
 * @throws what the system says; EOPNOTSUPP below /proc, where `mkdir` of Node 24 tries without end
 */
export async function makeFolder(folder: string): Promise<void> {
  await tryFolder(folder)
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

/** As statfs(2) gives it. */
const procfs = 0x9fa0

/** An error as the system's calls give it, for what they would not refuse, or not in time. */
export function systemError(fields: { code: string; path: string; syscall: string }, what: string): Error {
  return Object.assign(new Error(`${fields.code}: ${what}`), fields)
}

/** A path as it is typed in a shell. */
export function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

function withAdvice(code: string, advice: string | undefined): string {
  return advice === undefined ? `(${code})` : `(${code}); ${advice}`
}

function thisUser(): string {
  return `user ${process.getuid?.() ?? 'unknown'}`
}
