import { type StaticDecode, Type } from '@sinclair/typebox'
import { choice, section } from './fields.ts'
import { access, immutable } from './schema/access.ts'
import { auth } from './schema/auth.ts'
import { health } from './schema/health.ts'
import { http } from './schema/http.ts'
import { ipfs } from './schema/ipfs.ts'
import { log } from './schema/log.ts'
import { quotas } from './schema/quotas.ts'
import { storage } from './schema/storage.ts'
import { validation } from './schema/validation.ts'

/** Every key there is: its type, default, meaning. Validation, {@link Config} and docs/configuration.md come from it. */
export const configSchema = section('', {
  version: Type.Literal('0.1', {
    default: '0.1',
    noun: 'a version this node reads',
    write: '0.1',
    description: 'Version of the format, distribution’s. A configuration file must have it.'
  }),
  log,
  loglevel: Type.Optional(
    choice('log level', ['error', 'warn', 'info', 'debug'], {
      description: 'Deprecated, as with distribution: read as `log.level` when that is not there.'
    })
  ),
  storage,
  http,
  health,
  auth,
  access,
  immutable,
  validation,
  quotas,
  ipfs
})

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

/** A complete configuration, frozen. Durations are milliseconds, sizes bytes. */
export type Config = DeepReadonly<StaticDecode<typeof configSchema>>
