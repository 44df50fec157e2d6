import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfig } from '../../src/config.ts'
import { home, loadText, problemsOf, temporaryFile } from './fixture.ts'

const address = 'write HOST:PORT such as 127.0.0.1:5005, [::1]:5005, or :5005 for all interfaces'
const duration = 'is not a duration; write one such as 10s, 1h30m or 168h'

/** Text after `version: 0.1\n`, and the one problem it has. */
const table: [text: string, problem: string][] = [
  // unknown keys
  ['htpp: {}', 'config.yml:2: htpp is not a key of the configuration; the nearest is http'],
  [
    'http:\n  net: tcp\n  adr: ":1"',
    'config.yml:4: http.adr is not a key of the configuration; the nearest is http.addr'
  ],
  [
    'rootdirectory: /x',
    'config.yml:2: rootdirectory is not a key of the configuration; the nearest is storage.filesystem.rootdirectory'
  ],
  [
    'storage: {filesytem: {rootdirectory: /x}}',
    'config.yml:2: storage.filesytem is not a key of the configuration; the nearest is storage.filesystem'
  ],
  ['storage: tape', 'config.yml:2: storage.tape is not a key of the configuration; docs/configuration.md lists all'],
  ['ipfs: {Listen: []}', 'config.yml:2: ipfs.Listen is not a key of the configuration; the nearest is ipfs.listen'],
  [
    'ipfs: {"a\\u001b[2J": 1}',
    'config.yml:2: "ipfs.a\\u001b[2J" is not a key of the configuration; docs/configuration.md lists all'
  ],
  [
    'validation: {manifests: {indexes: {platformlist: [{os: linux}, {arch: amd64}]}}}',
    'config.yml:2: validation.manifests.indexes.platformlist[1].arch is not a key of the configuration; the nearest is validation.manifests.indexes.platformlist[].architecture'
  ],
  ['__proto__: {a: 1}', 'config.yml:2: __proto__ is not a key of the configuration; docs/configuration.md lists all'],
  ['http: {port: 5000}', 'config.yml:2: http.port is not a key of the configuration; the nearest is http.addr'],
  ['http: {adrr: ":1"}', 'config.yml:2: http.adrr is not a key of the configuration; the nearest is http.addr'],
  ['foo: 1', 'config.yml:2: foo is not a key of the configuration; docs/configuration.md lists all'],
  [
    'auth: {htpasswd: {paht: /p, path: /p}}',
    'config.yml:2: auth.htpasswd.paht is not a key of the configuration; the nearest is auth.htpasswd.path'
  ],
  // wrong kinds
  ['http: [1]', 'config.yml:2: http: a list is not a section; write its keys under it'],
  ['log: loud', 'config.yml:2: log: "loud" is not a section; write its keys under it'],
  ['log: {fields: 3}', 'config.yml:2: log.fields: 3 is not a section; write keys and values under it'],
  ['log: {fields: {a: [b]}}', 'config.yml:2: log.fields.a: a list is not a field; write a text, number or boolean'],
  ['http: {addr: {port: 5005}}', 'config.yml:2: http.addr: a section is not a list; write its entries in [ ]'],
  ['http: {addr: [null]}', `config.yml:2: http.addr[0]: null is not an address; ${address}`],
  ['http: {addr: []}', 'config.yml:2: http.addr: an empty list is not a list; write its entries in [ ]'],
  ['http: {relativeurls: maybe}', 'config.yml:2: http.relativeurls: "maybe" is not a switch; write true or false'],
  ['http: {relativeurls: "yes"}', 'config.yml:2: http.relativeurls: "yes" is not a switch; write true or false'],
  [
    'ipfs: {limits: {sockets: many}}',
    'config.yml:2: ipfs.limits.sockets: "many" is not a whole number from 1 to 1000000; write one without quotes'
  ],
  [
    'ipfs: {limits: {sockets: 0}}',
    'config.yml:2: ipfs.limits.sockets: 0 is not a whole number from 1 to 1000000; write one without quotes'
  ],
  [
    'ipfs: {limits: {hashing: 1.5}}',
    'config.yml:2: ipfs.limits.hashing: 1.5 is not a whole number from 1 to 256; write one without quotes'
  ],
  // texts with a grammar
  ['log: {level: loud}', 'config.yml:2: log.level: "loud" is not a log level; write error, warn, info, debug'],
  ['http: {draintimeout: 10}', `config.yml:2: http.draintimeout: "10" ${duration}`],
  [
    'ipfs: {gc: {grace: 1d}}',
    'config.yml:2: ipfs.gc.grace: "1d" is not a duration: the longest unit is the hour; write 24h'
  ],
  [
    'ipfs: {gc: {grace: 2w}}',
    'config.yml:2: ipfs.gc.grace: "2w" is not a duration: the longest unit is the hour; write 336h'
  ],
  [
    'storage: {filesystem: {rootdirectory: ~/pinn}}',
    'config.yml:2: storage.filesystem.rootdirectory: "~/pinn": only a shell reads ~ as a home folder; write the whole path, such as /home/ada/pinn'
  ],
  [
    'auth: {htpasswd: {path: "~ada/users"}}',
    'config.yml:2: auth.htpasswd.path: "~ada/users": only a shell reads ~ as a home folder; write the whole path, such as /home/ada/users'
  ],
  ['http: {draintimeout: -1s}', `config.yml:2: http.draintimeout: "-1s" ${duration}`],
  ['http: {draintimeout: 1 day}', `config.yml:2: http.draintimeout: "1 day" ${duration}`],
  [
    'ipfs: {limits: {manifest: 4 parsecs}}',
    'config.yml:2: ipfs.limits.manifest: "4 parsecs" is not a size; write one such as 4MiB or 4194304'
  ],
  ['http: {addr: 5005}', `config.yml:2: http.addr: "5005" is not an address; ${address}`],
  ['http: {addr: "1.2.3:5005"}', `config.yml:2: http.addr: "1.2.3:5005" is not an address; ${address}`],
  ['http: {addr: "::1:5005"}', `config.yml:2: http.addr: "::1:5005" is not an address; ${address}`],
  ['http: {addr: ":65536"}', `config.yml:2: http.addr: ":65536" is not an address; ${address}`],
  ['http: {addr: [":1", "x"]}', `config.yml:2: http.addr[1]: "x" is not an address; ${address}`],
  ['http: {addr: [":1", ":1"]}', 'config.yml:2: http.addr[1]: ":1" is given twice'],
  [
    'http: {addr: ":1", debug: {addr: ":1"}}',
    'config.yml:2: http.debug.addr: ":1" is http.addr too; write another port'
  ],
  ['http: {debug: {addr: "localhost"}}', `config.yml:2: http.debug.addr: "localhost" is not an address; ${address}`],
  ['http: {net: udp}', 'config.yml:2: http.net: "udp" is not a network; write tcp, unix'],
  [
    'http: {prefix: /registry}',
    'config.yml:2: http.prefix: "/registry" is not a prefix; write a path that begins and ends with a slash, such as /registry/'
  ],
  [
    'http: {host: registry.example.com}',
    'config.yml:2: http.host: "registry.example.com" is not a URL; write one such as https://registry.example.com, without user, password, query or fragment'
  ],
  [
    'http: {headers: {"X A": [b]}}',
    'config.yml:2: "http.headers.X A": not a header name; write one such as X-Frame-Options'
  ],
  [
    'http: {headers: {Content-Length: ["5"]}}',
    'config.yml:2: http.headers.Content-Length: the server sets this header itself; remove it'
  ],
  [
    'http: {headers: {X-A: ["b\\r\\nSet-Cookie: c"]}}',
    'config.yml:2: http.headers.X-A[0]: "b\\r\\nSet-Cookie: c" is not a header value; write it on one line'
  ],
  ['http: {tls: {certificate: /c.pem}}', 'config.yml:2: http.tls.key is missing; write the path of a file or folder'],
  [
    'http: {tls: {minimumtls: tls1.3, certificate: /c.pem, letsencrypt: {email: a@example.com, hosts: r.example.com}}}',
    'config.yml:2: http.tls.certificate: there is http.tls.letsencrypt too; write certificate and key, or letsencrypt, not both'
  ],
  [
    'http: {tls: {letsencrypt: {email: a@example.com, hosts: ["*.example.com"]}}}',
    'config.yml:2: http.tls.letsencrypt.hosts[0]: "*.example.com" is not a host name; write one such as registry.example.com, without port or wildcard'
  ],
  [
    'http: {tls: {letsencrypt: {email: a@example.com}}}',
    'config.yml:2: http.tls.letsencrypt.hosts is missing; write its entries in [ ]'
  ],
  [
    'http: {tls: {letsencrypt: {email: "a b", hosts: r.example.com}}}',
    'config.yml:2: http.tls.letsencrypt.email: "a b" is not a mail address; write one such as admin@example.com'
  ],
  [
    'http: {tls: {letsencrypt: {email: a@example.com, hosts: r.example.com, directoryurl: "http://ca.example/dir"}}}',
    'config.yml:2: http.tls.letsencrypt.directoryurl: "http://ca.example/dir" is not https; ACME is spoken over https only'
  ],
  [
    'http: {tls: {certificate: /c, key: /k, ciphersuites: [RC4]}}',
    'config.yml:2: http.tls.ciphersuites[0]: "RC4" is not a cipher suite of TLS 1.2 or 1.3 that Node has; write its IANA name, e.g. TLS_AES_128_GCM_SHA256'
  ],
  [
    'validation: {manifests: {urls: {allow: ["("]}}}',
    'config.yml:2: validation.manifests.urls.allow[0]: "(" is not a pattern; write a regular expression that JavaScript understands too, such as ^https?://example\\.com/'
  ],
  [
    'validation: {manifests: {urls: {deny: ["\\\\Ahttp"]}}}',
    'config.yml:2: validation.manifests.urls.deny[0]: "\\\\Ahttp" is not a pattern; write a regular expression that JavaScript understands too, such as ^https?://example\\.com/'
  ],
  [
    'validation: {manifests: {sparse: some}}',
    'config.yml:2: validation.manifests.sparse: "some" is not a choice; write none, indexes, all'
  ],
  [
    'ipfs: {listen: [127.0.0.1]}',
    'config.yml:2: ipfs.listen[0]: "127.0.0.1" is not a multiaddr; write one such as /ip4/127.0.0.1/tcp/4001'
  ],
  [
    'ipfs: {peers: [/ip4/127.0.0.1/tcp/4001]}',
    'config.yml:2: ipfs.peers[0]: "/ip4/127.0.0.1/tcp/4001" names no peer; end it in /p2p/<peer ID>'
  ],
  [
    'ipfs: {limits: {manifest: 5MiB}}',
    'config.yml:2: ipfs.limits.manifest: 5MiB is too much or nothing; write at most 4MiB'
  ],
  [
    'health: {storagedriver: {interval: 0}}',
    'config.yml:2: health.storagedriver.interval: 0s is no time at all; write at least 1ms'
  ],
  [
    'quotas: [{repositories: a, size: 1MiB}, {repositories: "**", fetch: {bytes: 1GiB, per: 0s}}]',
    'config.yml:2: quotas[1].fetch.per: 0s is no time at all, in which nothing would ever be too much; write how long fetched bytes count, such as 24h'
  ],
  ['ipfs: {timeouts: {headers: 0s}}', 'config.yml:2: ipfs.timeouts.headers: 0s is no time at all; write at least 1ms'],
  // not YAML
  ['a: b: c', 'config.yml:2: not readable as YAML: two keys on one line, or a text with ": " in it that needs quotes'],
  ['http:\n\taddr: x', 'config.yml:3: not readable as YAML: tabs do not indent YAML; use spaces'],
  [
    'http: {addr: x',
    'config.yml:3: not readable as YAML: the indentation does not fit the lines around it, or a bracket is not closed'
  ],
  ['http: {host: "x}', 'config.yml:3: not readable as YAML: a quote, bracket, comma or colon is missing'],
  ['http: {}\nlog: {}\nhttp: {}', 'config.yml:4: http is given twice'],
  ['http: *nothing', 'config.yml:2: this alias names no anchor; a text that begins with * needs quotes, such as "**"'],
  ['---\nhttp: {}', 'config.yml:2: not readable as YAML: there is a second document; a configuration is one'],
  ['? [a]\n: b', 'config.yml:2: a key must be a word'],
  ['http: {<<: 5}', 'config.yml:2: << merges maps only']
]

describe('one thing wrong', () => {
  it.each(table)('%j', async (text, problem) => {
    expect(await problemsOf(loadText(`version: 0.1\n${text}\n`))).toEqual([problem])
  })

  it.each([
    ['', 'config.yml: version is missing; write version: 0.1 at its top'],
    ['# nothing', 'config.yml: version is missing; write version: 0.1 at its top'],
    ['log: {}', 'config.yml: version is missing; write version: 0.1 at its top'],
    ['version: 0.2', 'config.yml:1: version: "0.2" is not a version this node reads; write 0.1'],
    ['version: 0.10', 'config.yml:1: version: "0.10" is not a version this node reads; write 0.1'],
    ['- a', 'config.yml:1: a configuration is keys and values, such as version: 0.1'],
    ['hello', 'config.yml:1: a configuration is keys and values, such as version: 0.1'],
    [Buffer.from([0x76, 0xff, 0xfe]), 'config.yml: cannot read the file: it is not UTF-8 text'],
    [Buffer.alloc(1024 * 1024 + 1, 0x20), 'config.yml: cannot read the file: it is larger than 1048576 bytes']
  ])('the file %j', async (content, problem) => {
    expect(await problemsOf(loadText(content))).toEqual([problem])
  })

  it('a file that is not there, or is a folder', async () => {
    const file = await temporaryFile('')
    expect(await problemsOf(loadConfig({ file: `${file}.no`, environment: home }))).toEqual([
      'config.yml.no: cannot read the file: there is no such file'
    ])
    expect(await problemsOf(loadConfig({ file: `${file}/..`, environment: home }))).toHaveLength(1)
    expect(await problemsOf(loadConfig({ file: '\0', environment: home }))).toHaveLength(1)
  })
})

describe('several things wrong', () => {
  it('are told at once, in the order of the file, each with key and place', async () => {
    const text = `version: 0.1
ipfs:
  limits: {sockets: none}
http:
  adr: x
  draintimeout: soon
auth: {silly: {realm: r, path: p}}
log: {level: loud, colour: red}
`
    const file = await temporaryFile(text)
    const error = await loadConfig({ file, environment: { ...home, REGISTRY_HTTP_NET: 'pigeon' } }).catch(
      (error: unknown) => error
    )
    if (!(error instanceof ConfigError)) throw new Error('no ConfigError')
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.problems.map(({ key, place }) => [key, place?.line])).toEqual([
      ['ipfs.limits.sockets', 3],
      ['http.adr', 5],
      ['http.draintimeout', 6],
      ['auth.silly', 7],
      ['log.colour', 8],
      ['log.level', 8],
      ['http.net', undefined]
    ])
    expect(error.problems.at(-1)?.message).toBe(
      'REGISTRY_HTTP_NET: http.net: "pigeon" is not a network; write tcp, unix'
    )
    expect(error.message.split('\n')).toHaveLength(7)
  })
})

describe('secrets in messages', () => {
  it.each([
    'http: {secret: [hunter2]}',
    'http: {secret: {hunter2: hunter2}}',
    'http: {secret: "hunter2\\nhunter2"}',
    'storage: {estuary: hunter2}',
    'storage: {estuary: [hunter2]}',
    'storage: {estuary: {auth-token: [hunter2]}}',
    'storage: {estuary: {url: "https://me:hunter2@example.com"}}',
    'http: {host: "https://me:hunter2@example.com"}',
    'storage: {storj: {accessgrant: "hunter2}}',
    'storage: {storj: {accessgrant: hunter2: hunter2}}',
    'storage: {storj: {accessgrant: @hunter2}}',
    'storage: {storj: {accesgrant: hunter2}}',
    'auth: {token: {secret: hunter2}}',
    'redis: {password: hunter2, x: y}\nhttp: 5'
  ])('%j is refused without it', async text => {
    const problems = await problemsOf(loadText(`version: 0.1\n${text}\n`))
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.join().replaceAll('config.yml', '')).not.toContain('hunter2')
  })
})

describe('in one round', () => {
  it('what keys ask of each other is told beside what is wrong with single ones', async () => {
    const text = `version: 0.1
log: {level: loud}
http:
  adr: ":1"
  addr: [":99999", "127.0.0.1:5005", "127.0.0.1:5005"]
  headers: {Connection: [close]}
  tls: {certificate: /c, minimumtls: tls9}
  debug: {addr: x}
auth: {htpasswd: {realm: r}}
access: [{subject: "group:dev", repositories: a, actions: [pull]}]
quotas: [{repositories: [a], blob: much, fetch: {bytes: 1, per: 0s}}]
ipfs:
  peers: [/ip4/127.0.0.1/tcp/4001]
  limits: {manifest: 5MiB, sockets: 0}
  timeouts: {headers: 0s, stall: soon}
health: {storagedriver: {interval: 0s}}
`
    const problems = await problemsOf(loadText(text))
    expect(problems.map(each => each.replace(/^config\.yml:(\d+): ([^\s:]+).*/, '$1 $2'))).toEqual([
      '2 log.level',
      '4 http.adr',
      '5 http.addr[0]',
      '5 http.addr[2]',
      '6 http.headers.Connection',
      '7 http.tls.minimumtls',
      '7 http.tls.key',
      '8 http.debug.addr',
      '9 auth.htpasswd.path',
      '10 access[0].subject',
      '11 quotas[0].blob',
      '11 quotas[0].fetch.per',
      '13 ipfs.peers[0]',
      '14 ipfs.limits.sockets',
      '14 ipfs.limits.manifest',
      '15 ipfs.timeouts.stall',
      '15 ipfs.timeouts.headers',
      '16 health.storagedriver.interval'
    ])
  })

  it.each([
    // What follows from a wrong value is not told: it may be right once that is mended.
    ['http: {tls: {certificate: [], key: /k}}', ['http.tls.certificate']],
    ['http: {tls: {certificate: /c, kye: /k}}', ['http.tls.kye']],
    [
      'auth: {htpasswd: {path: /p, groups: []}}\naccess: [{subject: "group:a", repositories: b, actions: [pull]}]',
      ['auth.htpasswd.groups']
    ],
    ['auth: {token: {realm: ftp, service: s, issuer: i, jwks: /j}}', ['auth.token.realm']],
    [
      'access: [{subject: "group:a", repositories: UPPER, actions: [pull]}]',
      ['access[0].repositories[0]', 'access[0].subject']
    ],
    ['access: openn', ['access']],
    ['http: [a]\nipfs: {peers: {a: b}}', ['http', 'ipfs.peers']]
  ])('%j: nothing that follows from what is wrong', async (text, keys) => {
    const problems = await problemsOf(loadText(`version: 0.1\n${text}\n`))
    expect(problems.map(each => each.replace(/^config\.yml:\d+: ([^\s:]+).*/, '$1')).sort()).toEqual([...keys].sort())
  })
})
