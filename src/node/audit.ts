import type { AuditLog } from '../access/ports.ts'
import { AuditFile } from '../audit/audit-file.ts'
import { type Config, ConfigError, showSize } from '../config.ts'
import type { Log } from '../registry/ports.ts'

/** Bytes; a file that is put aside after every few lines is none. */
const smallest = 64 * 1024

/** The audit log as configured; `undefined` when nobody wants one. @throws {ConfigError} when it cannot be written */
export async function openAudit(
  config: Config['log']['audit'],
  log: Log
): Promise<(AuditLog & { close(): Promise<void> }) | undefined> {
  const { path, size, files, addresses } = config
  if (path === undefined) return undefined
  if (size < smallest) throw configError('log.audit.size', `${showSize(size)} is too small; write at least 64KiB`)
  try {
    return await AuditFile.open({ clock: Date, log }, { path, size, files, addresses })
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be opened'
    throw configError('log.audit.path', `cannot write ${path} (${why})`)
  }
}

function configError(key: string, what: string): ConfigError {
  return new ConfigError([{ key, message: `${key}: ${what}` }])
}
