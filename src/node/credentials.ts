import type { Authentication } from '../access/authentication.ts'
import type { Authorize } from '../access/authorize.ts'
import { type AuthenticationComponents, createAuthentication } from '../access/identify.ts'
import type { OwnTokens } from '../access/own-tokens.ts'
import type { AuditLog } from '../access/ports.ts'
import { type Config, ConfigError } from '../config.ts'
import { createBearerCodec } from '../credentials/bearer-codec.ts'
import { CredentialFileError } from '../credentials/credential-file.ts'
import { asymmetric, openExternalTokens } from '../credentials/external-tokens.ts'
import { openPasswordFile } from '../credentials/password-file.ts'
import { openPasswordHash } from '../credentials/password-hash.ts'
import type { Log } from '../registry/ports.ts'
import { Closers } from './closers.ts'

export interface CredentialsComponents {
  authorize: Authorize
  tokens: OwnTokens
  log: Log
  audit?: AuditLog
}

export interface CredentialsInit {
  /** ms a bearer token of this node is good for. Default 5 minutes. */
  bearerLifetimeMs?: number
}

export interface Credentials {
  /** Absent where nobody is asked who they are. */
  readonly authentication: Authentication | undefined
  close(): Promise<void>
}

/** Name of this node in challenges where the configuration gives none. */
const defaultService = 'pinnace'

/**
 * What the configuration says about who somebody is: `auth`, or `access` as a list alone, with which own tokens are the
 * only credentials.
 *
 * @throws {ConfigError} naming the file that is missing or wrong
 */
export async function openCredentials(
  config: Config,
  components: CredentialsComponents,
  init: CredentialsInit = {}
): Promise<Credentials> {
  const { htpasswd, token } = config.auth
  if (token !== undefined) return openExternal(token, components)
  if (htpasswd === undefined && typeof config.access !== 'object')
    return { authentication: undefined, close: async () => {} }
  const closers = new Closers()
  const service = htpasswd?.realm ?? defaultService
  const own: AuthenticationComponents = {
    ...components,
    clock: Date,
    bearers: { own: createBearerCodec({ clock: Date }, { service }) }
  }
  const { bearerLifetimeMs: lifetimeMs } = init
  const options = { service, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) }
  if (htpasswd === undefined)
    return { authentication: createAuthentication(own, options), close: () => closers.close() }
  const { path, groups } = htpasswd
  const file = await named('auth.htpasswd', () =>
    openPasswordFile(components, { path, ...(groups === undefined ? {} : { groups }) })
  )
  closers.add(file, it => it.close())
  const passwords = { file, hash: await openPasswordHash() }
  return { authentication: createAuthentication({ ...own, passwords }, options), close: () => closers.close() }
}

async function openExternal(
  token: NonNullable<Config['auth']['token']>,
  components: CredentialsComponents
): Promise<Credentials> {
  const { realm, service, issuer, rootcertbundle, jwks, signingalgorithms, autoredirect, autoredirectpath } = token
  const algorithms = asymmetric.filter(name => signingalgorithms.includes(name))
  if (signingalgorithms.length > 0 && algorithms.length === 0) {
    const message = `auth.token.signingalgorithms: whoever can check ${signingalgorithms.join(', ')} can make tokens too; write one of ${asymmetric.join(', ')}`
    throw new ConfigError([{ key: 'auth.token.signingalgorithms', message }])
  }
  const external = await named('auth.token', () =>
    openExternalTokens(
      { clock: Date, log: components.log },
      {
        issuer,
        service,
        ...(rootcertbundle === undefined ? {} : { rootcertbundle }),
        ...(jwks === undefined ? {} : { jwks }),
        ...(algorithms.length === 0 ? {} : { algorithms })
      }
    )
  )
  const where = autoredirect ? { realmPath: autoredirectpath } : realm === undefined ? {} : { realm }
  const authentication = createAuthentication(
    { ...components, clock: Date, bearers: { external } },
    { service, ...where }
  )
  return { authentication, close: () => external.close() }
}

async function named<T>(key: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof CredentialFileError)) throw error
    throw new ConfigError([{ key, message: `${key}: ${error.message}` }])
  }
}
