import type { Authentication } from '../access/authentication.ts'
import type { Authorize } from '../access/authorize.ts'
import { type AuthenticationComponents, createAuthentication } from '../access/identify.ts'
import type { OwnTokens } from '../access/own-tokens.ts'
import type { AuditLog, ExternalTokens, PasswordFile } from '../access/ports.ts'
import { type Config, ConfigError } from '../config.ts'
import { createBearerCodec } from '../credentials/bearer-codec.ts'
import { CredentialFileError } from '../credentials/credential-file.ts'
import { asymmetric, type OpenExternalTokens, openExternalTokens } from '../credentials/external-tokens.ts'
import { openPasswordFile } from '../credentials/password-file.ts'
import { openPasswordHash } from '../credentials/password-hash.ts'
import type { Log } from '../registry/ports.ts'

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
  const files = await openCredentialFiles(config, components)
  if (token !== undefined && files.external !== undefined)
    return useExternal(token, files.external, components, files.close)
  if (htpasswd === undefined && typeof config.access !== 'object')
    return { authentication: undefined, close: files.close }
  const service = htpasswd?.realm ?? defaultService
  const own: AuthenticationComponents = {
    ...components,
    clock: Date,
    bearers: { own: createBearerCodec({ clock: Date }, { service }) }
  }
  const { bearerLifetimeMs: lifetimeMs } = init
  const options = { service, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) }
  const passwords = files.passwords && { file: files.passwords, hash: await openPasswordHash() }
  const authentication = createAuthentication({ ...own, ...(passwords && { passwords }) }, options)
  return { authentication, close: files.close }
}

export interface CredentialFiles {
  readonly passwords?: PasswordFile
  readonly external?: ExternalTokens
  close(): Promise<void>
}

/**
 * The files that `auth` names, read and followed.
 *
 * @throws {ConfigError} naming those that are missing or wrong
 */
export async function openCredentialFiles(
  { auth }: Pick<Config, 'auth'>,
  { log }: Pick<CredentialsComponents, 'log'>
): Promise<CredentialFiles> {
  if (auth.token !== undefined) {
    const external = await openExternal(auth.token, log)
    return { external, close: () => external.close() }
  }
  if (auth.htpasswd === undefined) return { close: async () => {} }
  const { path, groups } = auth.htpasswd
  const passwords = await named('auth.htpasswd', () =>
    openPasswordFile({ log }, { path, ...(groups === undefined ? {} : { groups }) })
  )
  return { passwords, close: () => passwords.close() }
}

type TokenServer = NonNullable<Config['auth']['token']>

async function openExternal(token: TokenServer, log: Log): Promise<OpenExternalTokens> {
  const { service, issuer, rootcertbundle, jwks, signingalgorithms } = token
  const algorithms = asymmetric.filter(name => signingalgorithms.includes(name))
  if (signingalgorithms.length > 0 && algorithms.length === 0) {
    const message = `auth.token.signingalgorithms: whoever can check ${signingalgorithms.join(', ')} can make tokens too; write one of ${asymmetric.join(', ')}`
    throw new ConfigError([{ key: 'auth.token.signingalgorithms', message }])
  }
  return named('auth.token', () =>
    openExternalTokens(
      { clock: Date, log },
      {
        issuer,
        service,
        ...(rootcertbundle === undefined ? {} : { rootcertbundle }),
        ...(jwks === undefined ? {} : { jwks }),
        ...(algorithms.length === 0 ? {} : { algorithms })
      }
    )
  )
}

function useExternal(
  { realm, service, autoredirect, autoredirectpath }: TokenServer,
  external: ExternalTokens,
  components: CredentialsComponents,
  close: () => Promise<void>
): Credentials {
  const where = autoredirect ? { realmPath: autoredirectpath } : realm === undefined ? {} : { realm }
  const authentication = createAuthentication(
    { ...components, clock: Date, bearers: { external } },
    { service, ...where }
  )
  return { authentication, close }
}

async function named<T>(key: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    const errors: unknown[] = error instanceof AggregateError ? error.errors : [error]
    if (!errors.every(each => each instanceof CredentialFileError)) throw error
    throw new ConfigError(
      errors.map(({ message }) => ({ key, message: `${key}: ${message}` })),
      { cause: error }
    )
  }
}
