import { IpfsSettingError } from '../setting-error.ts'
import type { SentError } from './messages.ts'

export function sentError(error: unknown): SentError {
  if (!(error instanceof Error)) return { message: String(error) }
  const { message, stack, cause } = error
  const setting = error instanceof IpfsSettingError ? error.setting : undefined
  return { message, stack, setting, cause: cause instanceof Error ? cause.message : undefined }
}

/** The error as it was thrown on the other side, as far as anyone here can tell. */
export function receivedError({ message, stack, setting, cause }: SentError): Error {
  const options = cause === undefined ? {} : { cause: new Error(cause) }
  const error =
    setting === undefined
      ? new Error(message, options)
      : new IpfsSettingError(setting, message.slice(`${setting}: `.length), options)
  if (stack !== undefined) error.stack = stack
  return error
}
