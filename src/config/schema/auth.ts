import { Type } from '@sinclair/typebox'
import { flag, list, path, record, section, url } from '../fields.ts'

/** Stands between quotes in `WWW-Authenticate` (RFC 9110, section 5.6.4). */
const quotable = { format: 'quotable', minLength: 1, noun: 'a name', write: 'one in ASCII without " and \\' }

const guard = { guard: true }

const htpasswd = record(
  'Users with passwords, of an Apache htpasswd file. This node is their token server.',
  {
    realm: Type.String({
      ...quotable,
      default: 'pinnace',
      description:
        'What the challenges of this node name as `service` (distribution: `realm`, and required). The realm itself is the URL of `/token`.'
    }),
    path: path({
      missing: 'the path of the htpasswd file, made with htpasswd -B -c FILE USER',
      description:
        'The htpasswd file, bcrypt only. Read again when it changes. It must be there: no user is made up (distribution makes one).'
    }),
    groups: Type.Optional(
      path({
        description:
          'File of groups for `group:NAME` rules, in the form of Apache’s AuthGroupFile: a line such as `dev: alice bob` each. Read again when it changes.'
      })
    )
  },
  guard
)

/** distribution's, in its order. */
export const signingAlgorithms = [
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512'
] as const

const algorithm = Type.Unsafe<(typeof signingAlgorithms)[number]>(
  Type.Union(
    signingAlgorithms.map(name => Type.Literal(name)),
    { noun: 'a signing algorithm', write: signingAlgorithms.join(', ') }
  )
)

const token = record(
  'An external token server. Its tokens alone say what their holders may.',
  {
    realm: Type.Optional(url({ description: 'URL of the token server. Required unless `autoredirect` is set.' })),
    service: Type.String({
      ...quotable,
      missing: 'the name of this registry that the token server puts into its tokens as audience',
      description: 'Name of this registry at the token server; the audience of its tokens.'
    }),
    issuer: Type.String({
      ...quotable,
      missing: 'the issuer that the token server puts into its tokens',
      description: 'The issuer that a token must name.'
    }),
    rootcertbundle: Type.Optional(
      path({
        description:
          'PEM file of certificates: their keys are trusted, and those of the certificates they signed (`x5c` of a token). This or `jwks` is required.'
      })
    ),
    jwks: Type.Optional(
      path({ description: 'File with a JSON Web Key Set: its keys are trusted. This or `rootcertbundle` is required.' })
    ),
    signingalgorithms: list(algorithm, {
      default: [...signingAlgorithms],
      description:
        'Signature algorithms accepted. An empty list is read as the default. Of the list `HS256`, `HS384` and `HS512` never are: whoever can check one can make one.'
    }),
    autoredirect: flag({
      default: false,
      description:
        'Name as realm the host that the client asked, with `autoredirectpath`: for a token server behind the same proxy.'
    }),
    autoredirectpath: Type.String({
      default: '/auth/token/',
      format: 'route',
      noun: 'a path',
      write: 'one such as /auth/token/',
      description: 'Path of the realm with `autoredirect`.'
    })
  },
  guard
)

export const auth = section(
  'Who asks. One of `htpasswd` and `token`; without either nobody has a password, but there may be tokens and rules (`access`).',
  { htpasswd: Type.Optional(htpasswd), token: Type.Optional(token) },
  guard
)
