import { RegistryError } from '../errors.ts'
import type { IssuedToken, TokenRequest, TokenServer } from './authentication.ts'
import type { Authorize } from './authorize.ts'
import { credentialOf } from './fingerprint.ts'
import { checkPassword, parseCredential } from './identify-credential.ts'
import { type Passwords, type SignIn, unauthorized } from './identify-password.ts'
import { type Standing, standingAnonymous, standingUser } from './identify-standing.ts'
import type { OwnTokens } from './own-tokens.ts'
import { createTokenId, kindOfSecret } from './own-tokens-format.ts'
import { grantScopes } from './permits.ts'
import type { AbortOptions, BearerClaims, BearerCodec, Clock } from './ports.ts'
import { maxScopes } from './scope.ts'
import type { Subject } from './subject.ts'

export interface TokenServerComponents {
  authorize: Authorize
  clock: Clock
  tokens: OwnTokens
  bearers: BearerCodec
  signIn: SignIn
  passwords?: Passwords
}

export interface TokenServerInit {
  service: string
  /** ms. Default 5 minutes. */
  lifetimeMs?: number
}

/** What fits a request's headers with room for the others. */
const longestToken = 12 * 1024

/** This node's own token server. See {@link TokenServer}. */
export function createTokenServer(components: TokenServerComponents, init: TokenServerInit): TokenServer {
  const { authorize, clock, tokens, bearers, passwords } = components
  const lifetimeMs = init.lifetimeMs ?? 300_000

  return {
    async issue(request: TokenRequest, options: AbortOptions = {}): Promise<IssuedToken> {
      options.signal?.throwIfAborted()
      checkRequest(request, init.service)
      const standing = await standingOfRequest(components, request)
      options.signal?.throwIfAborted()
      const subject = standing.subject()
      if (subject === undefined || standing.claim === undefined) throw unauthorized('the credential was just revoked')
      const scopes = grantScopes(authorize, subject, request.scopes)
      const issuedAt = Math.floor(clock.now() / 1000) * 1000
      const beginner = beginnerOfSession(request, subject, passwords)
      const session = createTokenId()
      const claim = beginner === undefined ? standing.claim : inSession(standing.claim, session)
      const token = await bearers.sign({ subject: claim, scopes, issuedAt, expiresAt: issuedAt + lifetimeMs })
      if (token.length > longestToken) {
        throw new RegistryError('REQUEST_INVALID', { message: 'too many scopes for one token: ask for fewer at once' })
      }
      const issued = { token, subject, expiresIn: lifetimeMs / 1000, issuedAt, scopes }
      return beginner === undefined ? issued : { ...issued, refreshToken: await tokens.startSession(beginner, session) }
    }
  }
}

/** The user who wants a session and has none, as the password file has it now. */
function beginnerOfSession({ offline, credential }: TokenRequest, subject: Subject, passwords: Passwords | undefined) {
  if (!offline || credential.type === 'refresh' || subject.kind !== 'user') return undefined
  return passwords?.file.entry(subject.name)
}

/** A bearer belongs to the session that begins with it, and is taken away with that. */
function inSession(claim: BearerClaims['subject'], session: string): BearerClaims['subject'] {
  return claim.kind === 'user' ? { ...claim, session } : claim
}

function checkRequest({ service, scopes }: TokenRequest, ours: string): void {
  if (service !== undefined && service !== ours) {
    throw new RegistryError('REQUEST_INVALID', {
      message: `this registry issues tokens for service ${JSON.stringify(ours)}, not ${JSON.stringify(service.slice(0, 80))}`
    })
  }
  if (scopes.length > maxScopes) {
    throw new RegistryError('REQUEST_INVALID', { message: `more than ${maxScopes} scopes: ask for fewer at once` })
  }
}

async function standingOfRequest(components: TokenServerComponents, request: TokenRequest): Promise<Standing> {
  const { credential, source } = request
  const { signIn } = components
  switch (credential.type) {
    case 'none':
      return standingAnonymous
    case 'password':
      checkPassword(credential.username, credential.password)
      return signIn.byPassword(credential.username, credential.password, source)
    case 'refresh':
      return standingOfSession(components, credential.token)
    case 'authorization': {
      const parsed = parseCredential(credential.header)
      if (parsed.scheme === 'basic') return signIn.byPassword(parsed.username, parsed.password, source)
      if (kindOfSecret(parsed.token) === 'access') return signIn.byToken(parsed.token, source)
      // A bearer that could get another one would never end.
      throw unauthorized('a bearer token cannot ask for another one: use a password, an own token or a refresh token')
    }
  }
}

async function standingOfSession(components: TokenServerComponents, secret: string): Promise<Standing> {
  const { tokens, passwords } = components
  const ended = () => unauthorized('this refresh token is over: sign in again')
  const session = kindOfSecret(secret) === 'refresh' ? tokens.find(secret) : undefined
  if (session?.user === undefined || passwords === undefined) throw ended()
  const entry = passwords.file.entry(session.user.name)
  if (tokens.isExpired(session) || entry === undefined || credentialOf(entry) !== session.user.credential) {
    await tokens.endSession(session.id).catch(() => undefined)
    throw ended()
  }
  // On a full disk it ends earlier, which is better than no pull.
  await tokens.useSession(session.id).catch(() => undefined)
  return standingUser(passwords.file, entry, { id: session.id, tokens })
}
