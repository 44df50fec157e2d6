import { IpfsSettingError } from '../setting-error.ts'
import type { SentError } from './messages.ts'

export function sentError(error: unknown): SentError {
  if (!(error instanceof Error)) return { message: String(error) }
  const { message, stack } = error
  return { message, stack, setting: error instanceof IpfsSettingError ? error.setting : undefined }
}

/** The error as it was thrown on the other side, as far as anyone here can tell. */
export function receivedError({ message, stack, setting }: SentError): Error {
  const error =
    setting === undefined ? new Error(message) : new IpfsSettingError(setting, message.slice(`${setting}: `.length))
  if (stack !== undefined) error.stack = stack
  return error
}
