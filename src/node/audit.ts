import type { AuditLog } from '../access/ports.ts'
import { AuditFile } from '../audit/audit-file.ts'
import { RotatingFile } from '../audit/rotating-file.ts'
import { type Config, ConfigError, showSize } from '../config.ts'
import { mendWriting } from '../file-access.ts'
import type { Log } from '../registry/ports.ts'

/** Bytes; a file that is put aside after every few lines is none. */
const smallest = 64 * 1024

/** The audit log as configured; `undefined` when nobody wants one. @throws {ConfigError} when it cannot be written */
export async function openAudit(
  config: Config['log']['audit'],
  log: Log
): Promise<(AuditLog & { close(): Promise<void> }) | undefined> {
  const { path, size, files, addresses } = config
  return path === undefined
    ? undefined
    : withFile(config, path, () => AuditFile.open({ clock: Date, log }, { path, size, files, addresses }))
}

/** Whether {@link openAudit} could; changes nothing. @throws {ConfigError} */
export async function checkAudit(config: Config['log']['audit']): Promise<void> {
  const { path } = config
  if (path !== undefined) await withFile(config, path, () => RotatingFile.check(path))
}

async function withFile<T>({ size }: Config['log']['audit'], path: string, open: () => Promise<T>): Promise<T> {
  if (size < smallest) throw configError('log.audit.size', `${showSize(size)} is too small; write at least 64KiB`)
  try {
    return await open()
  } catch (error) {
    throw configError('log.audit.path', `cannot write ${path} ${mendWriting(error)}`)
  }
}

function configError(key: string, what: string): ConfigError {
  return new ConfigError([{ key, message: `${key}: ${what}` }])
}
