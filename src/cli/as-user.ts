import type { User } from '../data-folder.ts'

/** The line that runs the same command as another user of this machine. */
export function asUser({ uid, gid, name }: User, argv: readonly string[]): string {
  const line = ['pinnace', ...argv].map(quote).join(' ')
  const isRoot = process.geteuid?.() === 0
  if (!isRoot || process.platform !== 'linux') return `sudo -u ${quote(name ?? `#${uid}`)} ${line}`
  if (name !== undefined) return `runuser -u ${quote(name)} -- ${line}`
  return `setpriv --reuid=${uid} --regid=${gid} --clear-groups ${line}`
}

/** For a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
