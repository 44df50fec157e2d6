import { Type } from '@sinclair/typebox'
import { type CipherSuite, cipherSuites } from '../cipher-suites.ts'
import { choice, duration, flag, list, path, record, secret, section, url } from '../fields.ts'

const address = {
  noun: 'an address',
  write: 'HOST:PORT such as 127.0.0.1:5005, [::1]:5005, or :5005 for all interfaces'
}

const letsencrypt = record(
  'Certificates from Let’s Encrypt, or another ACME authority, instead of files. Setting it is agreeing to the authority’s terms of service.',
  {
    hosts: list(
      Type.String({
        format: 'dns-name',
        noun: 'a host name',
        write: 'one such as registry.example.com, without port or wildcard'
      }),
      {
        single: true,
        minItems: 1,
        description:
          'Names to have a certificate for, one each. Clients that send no name get that of the first. Others are never asked for.'
      }
    ),
    email: Type.String({
      format: 'mail-address',
      noun: 'a mail address',
      write: 'one such as admin@example.com',
      description: 'Where the authority reaches you.'
    }),
    cachefile: Type.Optional(
      path({
        description:
          'Folder for the account’s key and the certificates with theirs. In the form of distribution, which can share what it has there.',
        defaultNote: '`acme` in the data folder'
      })
    ),
    directoryurl: url({
      default: 'https://acme-v02.api.letsencrypt.org/directory',
      description: 'Directory of the authority. An authority at a private address is asked because you name it here.'
    }),
    http: Type.Optional(
      Type.String({
        ...address,
        minLength: 1,
        description:
          'Pinnace’s own: address for a second listener that answers HTTP-01 challenges, which the authority asks at port 80. Without it challenges are TLS-ALPN-01, answered at `http.addr`, which the authority asks at port 443.'
      })
    )
  }
)

const tls = record('TLS. Without it the node speaks plain HTTP. Either `certificate` and `key`, or `letsencrypt`.', {
  certificate: Type.Optional(
    path({ description: 'PEM file with the certificate and its chain. Read again when it changes.' })
  ),
  key: Type.Optional(path({ description: 'PEM file with the private key. Read again when it changes.' })),
  letsencrypt: Type.Optional(letsencrypt),
  minimumtls: choice('TLS version', ['tls1.0', 'tls1.1', 'tls1.2', 'tls1.3'], {
    default: 'tls1.2',
    description: 'The lowest TLS version accepted.'
  }),
  ciphersuites: Type.Optional(
    list(
      Type.Unsafe<CipherSuite>(
        Type.Union(
          Object.keys(cipherSuites).map(name => Type.Literal<CipherSuite>(name as CipherSuite)),
          {
            noun: 'a cipher suite of TLS 1.2 or 1.3 that Node has',
            write: 'its IANA name, e.g. TLS_AES_128_GCM_SHA256'
          }
        )
      ),
      { description: 'Cipher suites accepted, by their IANA names.', defaultNote: "Node's own list", minItems: 1 }
    )
  )
})

const debug = section('A second listener for operators. Keep it private.', {
  addr: Type.Optional(
    Type.String({ ...address, description: 'Address of the debug listener. Without it there is none.', minLength: 1 })
  ),
  prometheus: section('Metrics for Prometheus, on the debug listener.', {
    enabled: flag({ default: false, description: 'Whether metrics are served.' }),
    path: Type.String({
      default: '/metrics',
      format: 'route',
      noun: 'a path',
      write: 'one such as /metrics',
      description: 'Path of the metrics.'
    })
  })
})

export const http = section('The listener of the registry.', {
  addr: list(Type.String({ ...address, minLength: 1 }), {
    default: ['127.0.0.1:5005', '[::1]:5005'],
    single: true,
    minItems: 1,
    description:
      'Address to listen on, or a list of them: `HOST:PORT`, `:PORT` for all interfaces, port 0 for any free one; a path when `net` is `unix`.'
  }),
  net: choice('network', ['tcp', 'unix'], { default: 'tcp', description: 'What `addr` is: TCP, or a unix socket.' }),
  prefix: Type.String({
    default: '/',
    format: 'url-path',
    noun: 'a prefix',
    write: 'a path that begins and ends with a slash, such as /registry/',
    description: 'Path that `/v2/` is served under. It begins and ends with a slash.'
  }),
  host: Type.Optional(
    url({
      description:
        'URL that clients reach the registry by. With it, `Location` is absolute and begins with it unless `relativeurls` was set.'
    })
  ),
  secret: Type.Optional(
    secret({
      description: 'Accepted for distribution’s sake. Upload state is kept on this node, so nothing needs signing.'
    })
  ),
  trustproxy: list(
    Type.String({
      format: 'proxy',
      noun: 'a proxy',
      write: 'an address, a network such as 10.0.0.0/8, or one of the words loopback and private'
    }),
    {
      default: [],
      single: true,
      description:
        'Proxies in front whose `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded`, are believed: addresses, networks, `loopback`, `private` (RFC 1918, RFC 4193). Of anybody else they are not read, as everybody can write them; a unix socket’s other end is believed always.'
    }
  ),
  hosts: Type.Optional(
    list(
      Type.String({
        format: 'host-pattern',
        noun: 'a host name',
        write: 'one without port such as registry.example.org, or *.example.org; * is every host'
      }),
      {
        single: true,
        description:
          'Names that this node may be called by in `Host`, besides `localhost`, loopback addresses, its own address, and the host of `http.host`; any other gets 421. Ports do not matter.',
        defaultNote: 'on a loopback address none, elsewhere `*`'
      }
    )
  ),
  relativeurls: flag({
    description: 'Whether `Location` is relative, which is right behind any proxy.',
    defaultNote: '`true` (distribution: `false`); `false` when `http.host` is set'
  }),
  draintimeout: duration({
    default: '30s',
    description: 'How long requests under way may take to finish after SIGTERM; `0s` cuts them at once.'
  }),
  headers: Type.Record(
    Type.String(),
    list(Type.String({ format: 'header-value', noun: 'a header value', write: 'it on one line' }), { description: '' }),
    {
      default: {},
      noun: 'a section',
      write: 'header names with lists of values under it',
      description: 'Headers added to every response: each name with a list of values.'
    }
  ),
  tls: Type.Optional(tls),
  debug
})
