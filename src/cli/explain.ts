import { ConfigError } from '../config/problem.ts'
import { DataFolderLocked, DataFolderOfAnother } from '../data-folder.ts'
import { RegistryError, RegistryErrors } from '../errors.ts'
import { asUser } from './as-user.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { Interrupted } from './interrupt.ts'

/** An expected end of a command: what to tell, and the status to end with. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/**
 * Errors whose message was written for the operator, by name: importing their classes would load LevelDB and libp2p for
 * every `--help`.
 */
const outspoken: Record<string, ExitCode> = {
  MetadataLocked: exitCodes.busy,
  IpfsSettingError: exitCodes.usage,
  KeyFormatError: exitCodes.failure,
  ListenError: exitCodes.failure,
  DataFolderUnusable: exitCodes.failure,
  NoDataFolder: exitCodes.notFound,
  LayoutError: exitCodes.failure,
  SchemaUnsupported: exitCodes.failure,
  MetadataMissing: exitCodes.failure,
  MetadataUnusable: exitCodes.failure
}

/**
 * What a person is told about a failure, and the exit status. Sentences only; no stack of an expected error.
 *
 * @param argv what was typed behind `pinnace`, to be shown as it should have been
 */
export function explain(error: unknown, argv: readonly string[] = ['…']): { message: string; exitCode: ExitCode } {
  if (error instanceof Interrupted) return { message: 'interrupted', exitCode: error.exitCode }
  if (error instanceof CommandFailure) return { message: error.message, exitCode: error.exitCode }
  if (error instanceof ConfigError) return { message: configSentences(error), exitCode: exitCodes.usage }
  if (error instanceof DataFolderLocked) return { message: error.message, exitCode: exitCodes.busy }
  if (error instanceof DataFolderOfAnother) {
    return { message: `${error.message}. Type: ${asUser(error.owner, argv)}`, exitCode: exitCodes.failure }
  }
  if (error instanceof Error && error.name in outspoken) {
    return { message: error.message, exitCode: outspoken[error.name] ?? exitCodes.failure }
  }
  if (error instanceof RegistryErrors) return { message: error.message, exitCode: exitCodeOf(error.errors[0]) }
  if (error instanceof RegistryError) return { message: error.message, exitCode: exitCodeOf(error) }
  if (isSystemError(error)) return { message: systemSentence(error), exitCode: exitCodes.failure }
  if (!(error instanceof Error)) return { message: String(error), exitCode: exitCodes.failure }
  // Nobody foresaw this one: the stack is what a bug report needs.
  return { message: `unexpected error: ${error.stack ?? error.message}${causes(error)}`, exitCode: exitCodes.failure }
}

/** The registry's refusal with the name it is about in front, for commands that were given several or any. */
export function naming(name: string): (error: unknown) => never {
  return error => {
    if (!(error instanceof RegistryError || error instanceof RegistryErrors)) throw error
    const { message, exitCode } = explain(error)
    throw new CommandFailure(exitCode, `${name}: ${message}`, { cause: error })
  }
}

function exitCodeOf(error: RegistryError): ExitCode {
  switch (error.reason) {
    case 'NAME_UNKNOWN':
    case 'MANIFEST_UNKNOWN':
    case 'BLOB_UNKNOWN':
    case 'NOT_FOUND':
      return exitCodes.notFound
    case 'NAME_INVALID':
    case 'TAG_INVALID':
    case 'DIGEST_INVALID':
    case 'REQUEST_INVALID':
      return exitCodes.usage
    default:
      return exitCodes.failure
  }
}

function configSentences(error: ConfigError): string {
  const [only, ...more] = error.problems
  if (only !== undefined && more.length === 0) return only.message
  return `the configuration has ${error.problems.length} problems:\n${error.problems.map(problem => `  ${problem.message}`).join('\n')}`
}

interface SystemError extends Error {
  code: string
  syscall?: string
  path?: string
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
}

function systemSentence(error: SystemError): string {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    return `no space is left for ${error.path ?? 'the data folder'}`
  if (error.code === 'EACCES' || error.code === 'EPERM') return `no permission for ${error.path ?? error.message}`
  if (error.code === 'ENOENT') return `there is no ${error.path ?? 'such file'}`
  return error.message
}

function causes(error: Error): string {
  let text = ''
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) text += `\ncaused by: ${cause.message}`
  return text
}
