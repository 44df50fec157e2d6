import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { home, loadText, problemsOf, temporaryFile } from './fixture.ts'

async function load(environment: Record<string, string>) {
  return await loadConfig({ environment: { ...home, ...environment } })
}

describe('variables', () => {
  it.each<[Record<string, string>, object]>([
    [{ REGISTRY_HTTP_ADDR: ':5000' }, { http: { addr: [':5000'] } }],
    [{ REGISTRY_HTTP_ADDR: '0.0.0.0:5000' }, { http: { addr: ['0.0.0.0:5000'] } }],
    [{ REGISTRY_HTTP_ADDR: '[::1]:5005' }, { http: { addr: ['[::1]:5005'] } }],
    [{ REGISTRY_HTTP_ADDR: '[":1", "127.0.0.1:2"]' }, { http: { addr: [':1', '127.0.0.1:2'] } }],
    [{ REGISTRY_HTTP_ADDR: '' }, { http: { addr: ['127.0.0.1:5005', '[::1]:5005'] } }],
    [{ REGISTRY_HTTP_ADDR_0: ':1', REGISTRY_HTTP_ADDR_1: ':2' }, { http: { addr: [':1', ':2'] } }],
    [{ REGISTRY_HTTP_ADDR: ':1', REGISTRY_HTTP_ADDR_1: ':2' }, { http: { addr: [':1', ':2'] } }],
    [{ REGISTRY_LOG_LEVEL: 'DEBUG' }, { log: { level: 'debug' } }],
    [{ REGISTRY_LOGLEVEL: 'debug' }, { log: { level: 'debug' } }],
    [{ REGISTRY_LOG_FIELDS_SERVICE: 'a', REGISTRY_LOG_FIELDS_N: '5' }, { log: { fields: { service: 'a', n: 5 } } }],
    [{ REGISTRY_LOG_FIELDS: '{A: b}', REGISTRY_LOG_FIELDS_A: 'c' }, { log: { fields: { A: 'c' } } }],
    [{ REGISTRY_LOG: '{level: warn}', REGISTRY_LOG_FORMATTER: 'json' }, { log: { level: 'warn', formatter: 'json' } }],
    [{ 'REGISTRY_HTTP_HEADERS_X-FRAME-OPTIONS': '[DENY]' }, { http: { headers: { 'x-frame-options': ['DENY'] } } }],
    [
      { 'REGISTRY_HTTP_HEADERS_X-A_0': 'b', 'REGISTRY_HTTP_HEADERS_X-A_1': 'c' },
      { http: { headers: { 'x-a': ['b', 'c'] } } }
    ],
    [{ REGISTRY_HTTP_RELATIVEURLS: 'False' }, { http: { relativeurls: false } }],
    [{ REGISTRY_HTTP_DRAINTIMEOUT: '1m30s' }, { http: { draintimeout: 90_000 } }],
    [{ REGISTRY_STORAGE: 'filesystem' }, { storage: { filesystem: { maxthreads: 100 } } }],
    [{ REGISTRY_STORAGE_DELETE: '{enabled: off}' }, { storage: { delete: { enabled: false } } }],
    [
      { REGISTRY_STORAGE_MAINTENANCE_READONLY: '{"enabled":true}' },
      { storage: { maintenance: { readonly: { enabled: true } } } }
    ],
    [{ REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS: '10' }, { storage: { filesystem: { maxthreads: 25 } } }],
    [{ REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '0123' }, { storage: { filesystem: { rootdirectory: '0123' } } }],
    [{ REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '@x: {' }, { storage: { filesystem: { rootdirectory: '@x: {' } } }],
    [{ REGISTRY_STORAGE_ESTUARY_AUTH_TOKEN: 't' }, { storage: { estuary: { 'auth-token': 't' } } }],
    [{ 'REGISTRY_STORAGE_ESTUARY_AUTH-TOKEN': 't' }, { storage: { estuary: { 'auth-token': 't' } } }],
    [{ REGISTRY_STORAGE_ESTUARY_SHUTTLE_URL: 'https://s' }, { storage: { estuary: { 'shuttle-url': 'https://s' } } }],
    [{ REGISTRY_STORAGE_STORJ_BUCKET: '1e3' }, { storage: { storj: { bucket: '1e3' } } }],
    [{ REGISTRY_IPFS_KEY_FILE: '/k' }, { ipfs: { key: { file: '/k' } } }],
    [{ REGISTRY_IPFS_LIMITS_MANIFEST: '2MiB' }, { ipfs: { limits: { manifest: 2_097_152 } } }],
    [
      {
        REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS: 'linux',
        REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_1: '{os: plan9}'
      },
      { validation: { manifests: { indexes: { platformlist: [{ os: 'linux' }, { os: 'plan9' }] } } } }
    ]
  ])('%j', async (environment, expected) => {
    expect((await load(environment)).config).toMatchObject(expected)
  })

  it('win over the file, key by key', async () => {
    const text = 'version: 0.1\nlog: {level: warn, fields: {Service: a}}\nhttp: {addr: ":1", headers: {X-A: [b, c]}}\n'
    const { config } = await loadText(text, {
      REGISTRY_LOG_FIELDS_SERVICE: 'z',
      'REGISTRY_HTTP_HEADERS_X-A_1': 'd',
      REGISTRY_HTTP_ADDR: ':2'
    })
    expect(config.log).toMatchObject({ level: 'warn', fields: { Service: 'z' } })
    expect(config.http).toMatchObject({ addr: [':2'], headers: { 'X-A': ['b', 'd'] } })
  })

  it('replace a whole section when they name it', async () => {
    const { config } = await loadText('version: 0.1\nlog: {level: warn, formatter: json}', {
      REGISTRY_LOG: '{level: error}'
    })
    expect(config.log).toMatchObject({ level: 'error', formatter: 'text' })
  })

  it('do not reach an alias of what they change', async () => {
    const text = 'version: 0.1\nhttp: {headers: {A: &x [b], C: *x}}'
    const { config } = await loadText(text, { REGISTRY_HTTP_HEADERS_A_0: 'z' })
    expect(config.http.headers).toEqual({ A: ['z'], C: ['b'] })
  })

  it.each([
    ['REGISTRY_HTTP_ADR', 'the nearest is REGISTRY_HTTP_ADDR'],
    ['REGISTRY_HTTP_PORT', 'the nearest is REGISTRY_HTTP_ADDR'],
    ['REGISTRY_HTTP_NET_X', 'the nearest is REGISTRY_HTTP_NET'],
    ['REGISTRY_http_addr', 'the nearest is REGISTRY_HTTP_ADDR'],
    ['REGISTRY_AUHT_HTPASSWD_PATH', 'the nearest is REGISTRY_AUTH_HTPASSWD_PATH'],
    ['REGISTRY_STORAGE_ROOTDIRECTORY', 'the nearest is REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY'],
    ['REGISTRY_DELETE_ENABLED', 'the nearest is REGISTRY_STORAGE_DELETE_ENABLED'],
    ['REGISTRY__HTTP', 'the nearest is REGISTRY_HTTP'],
    ['REGISTRY_HTTP_HEADERS_', 'the nearest is REGISTRY_HTTP_HEADERS'],
    ['REGISTRY_LOG_LEVEL_FILE', 'the nearest is REGISTRY_LOG_LEVEL'],
    ['REGISTRY_CONSTRUCTOR', 'docs/configuration.md lists all'],
    ['REGISTRY_FOO', 'docs/configuration.md lists all'],
    ['REGISTRY___PROTO__', 'docs/configuration.md lists all']
  ])('%s is ignored with a warning, as distribution does: %s', async (name, instead) => {
    const { warnings, config, sources } = await load({ [name]: '5000' })
    expect(warnings).toEqual([`${name} names no key of the configuration and is ignored; ${instead}`])
    expect(config).toEqual((await load({})).config)
    expect(sources).toMatchObject({ environment: [], ignored: [name] })
  })

  it.each([
    ['REGISTRY_AUTH_HTPASSWD_PAHT', 'the nearest is REGISTRY_AUTH_HTPASSWD_PATH'],
    ['REGISTRY_AUTH_HTPASSWD_PATH_FILE', 'the nearest is REGISTRY_AUTH_HTPASSWD_PATH'],
    ['REGISTRY_AUTH_HTPASSWD_X', 'the nearest is REGISTRY_AUTH_HTPASSWD'],
    ['REGISTRY_AUTH_TOKEN_ISSUR', 'the nearest is REGISTRY_AUTH_TOKEN_ISSUER']
  ])('%s stops the start: the node would be open', async (name, instead) => {
    expect(await problemsOf(load({ [name]: '/etc/htpasswd' }))).toContain(
      `${name}: this names no key, and ignoring it could leave the registry open; ${instead}`
    )
  })

  it('of other programs are not looked at', async () => {
    expect((await load({ REGISTRY: 'x', PINNACE_HTTP_ADDR: ':1', registry_http_addr: ':1' })).warnings).toEqual([])
  })

  it.each<[Record<string, string>, string]>([
    [
      { REGISTRY_HTTP_ADDR_1: ':1' },
      'REGISTRY_HTTP_ADDR_1: http.addr is a list of 0: the name must end in an index from 0 to 0'
    ],
    [
      { REGISTRY_HTTP_ADDR_X: ':1' },
      'REGISTRY_HTTP_ADDR_X: http.addr is a list of 0: the name must end in an index from 0 to 0'
    ],
    [
      { 'REGISTRY_HTTP_ADDR_-1': ':1' },
      'REGISTRY_HTTP_ADDR_-1: http.addr is a list of 0: the name must end in an index from 0 to 0'
    ],
    [{ REGISTRY_LOG: '{level: ' }, 'REGISTRY_LOG: not readable as YAML: a quote, bracket, comma or colon is missing'],
    [{ REGISTRY_LOG: 'loud' }, 'REGISTRY_LOG: log: "loud" is not a section; write its keys under it'],
    [
      { REGISTRY_LOG: '{levle: debug}' },
      'REGISTRY_LOG: log.levle is not a key of the configuration; the nearest is log.level'
    ],
    [
      { REGISTRY_LOG_LEVEL: 'loud' },
      'REGISTRY_LOG_LEVEL: log.level: "loud" is not a log level; write error, warn, info, debug'
    ],
    [
      { REGISTRY_STORAGE_DELETE_ENABLED: 'perhaps' },
      'REGISTRY_STORAGE_DELETE_ENABLED: storage.delete.enabled: "perhaps" is not a switch; write true or false'
    ],
    [{ REGISTRY_VERSION: '2' }, 'REGISTRY_VERSION: version: "2" is not a version this node reads; write 0.1']
  ])('%j is an error', async (environment, problem) => {
    expect(await problemsOf(load(environment))).toEqual([problem])
  })

  it('leave a section of the wrong kind in the file for the file to answer for', async () => {
    const environment = { REGISTRY_HTTP_ADDR: ':1', REGISTRY_LOG_FIELDS_A: 'b', REGISTRY_IPFS_PEERS_0: 'x' }
    expect(
      await problemsOf(loadText('version: 0.1\nhttp: [a]\nlog: {fields: x}\nipfs: {peers: {a: b}}\n', environment))
    ).toEqual([
      'config.yml:2: http: a list is not a section; write its keys under it',
      'config.yml:3: log.fields: "x" is not a section; write keys and values under it',
      'config.yml:4: ipfs.peers: a section is not a list; write its entries in [ ]'
    ])
  })
})

describe('<NAME>_FILE', () => {
  it.each([
    ['REGISTRY_STORAGE_STORJ_ACCESSGRANT_FILE', 'storage.storj.accessgrant'],
    ['REGISTRY_STORAGE_ESTUARY_AUTH_TOKEN_FILE', 'storage.estuary.auth-token'],
    ['REGISTRY_STORAGE_ESTUARY_AUTH-TOKEN_FILE', 'storage.estuary.auth-token'],
    ['REGISTRY_HTTP_SECRET_FILE', 'http.secret']
  ])('%s holds %s, taken as it is', async (name, key) => {
    const secret = ' {not: yaml} # "grant" 0x1 '
    const { config } = await load({ [name]: await temporaryFile(`${secret}\n`, 'secret') })
    expect(key.split('.').reduce<unknown>((at, part) => Reflect.get(Object(at), part), config)).toBe(secret)
  })

  it.each([
    ['', 'the file it names is empty'],
    ['\n', 'the file it names is empty'],
    ['a\nb\n', 'http.secret: what was given (not shown) is not a secret; write it on one line'],
    ['a'.repeat(65_537), 'the file it names cannot be read: it is larger than 65536 bytes'],
    [Buffer.from([0xff]), 'the file it names cannot be read: it is not UTF-8 text']
  ])('with %j is an error', async (content, problem) => {
    const file = await temporaryFile(content, 'secret')
    expect(await problemsOf(load({ REGISTRY_HTTP_SECRET_FILE: file }))).toEqual([
      `REGISTRY_HTTP_SECRET_FILE: ${problem}`
    ])
  })

  it('without a file is an error that does not show what may be the secret itself', async () => {
    expect(await problemsOf(load({ REGISTRY_HTTP_SECRET_FILE: 'hunter2' }))).toEqual([
      'REGISTRY_HTTP_SECRET_FILE: the file it names cannot be read: there is no such file'
    ])
  })

  it('beside <NAME> is an error, beside an empty one is not', async () => {
    const file = await temporaryFile('x', 'secret')
    const both = { REGISTRY_HTTP_SECRET_FILE: file, REGISTRY_HTTP_SECRET: 'y' }
    expect(await problemsOf(load(both))).toEqual([
      'REGISTRY_HTTP_SECRET_FILE: REGISTRY_HTTP_SECRET is set too; set one of the two'
    ])
    expect((await load({ ...both, REGISTRY_HTTP_SECRET: '' })).config.http.secret).toBe('x')
    expect((await load({ REGISTRY_HTTP_SECRET_FILE: '', REGISTRY_HTTP_SECRET: 'y' })).config.http.secret).toBe('y')
  })

  it('wins over the file', async () => {
    const file = await temporaryFile('x', 'secret')
    expect(
      (await loadText('version: 0.1\nhttp: {secret: y}', { REGISTRY_HTTP_SECRET_FILE: file })).config.http.secret
    ).toBe('x')
  })
})

/** What Kubernetes sets in every container of a namespace for a service of this name, with one named port. */
function serviceVariables(service: string): Record<string, string> {
  const name = service.toUpperCase().replaceAll('-', '_')
  return {
    [`${name}_SERVICE_HOST`]: '10.96.0.7',
    [`${name}_SERVICE_PORT`]: '5001',
    [`${name}_SERVICE_PORT_HTTP_MAIN`]: '5001',
    [`${name}_PORT`]: 'tcp://10.96.0.7:5001',
    [`${name}_PORT_5001_TCP`]: 'tcp://10.96.0.7:5001',
    [`${name}_PORT_5001_TCP_PROTO`]: 'tcp',
    [`${name}_PORT_5001_TCP_PORT`]: '5001',
    [`${name}_PORT_5001_TCP_ADDR`]: 'fd00::7'
  }
}

describe('the variables of a service of Kubernetes', () => {
  it.each([
    'registry',
    'registry-auth',
    'registry-auth-htpasswd',
    'registry-auth-token',
    'registry-auth-token-service',
    'registry-auth-ldap',
    'registry-http',
    'registry-http-addr',
    'registry-http-debug',
    'registry-http-tls',
    'registry-http-tls-clientcas',
    'registry-http-secret',
    'registry-log-fields',
    'registry-http-headers',
    'registry-redis',
    'registry-storage-s3',
    'registry-access',
    'registry-ipfs-listen',
    'registry-ui'
  ])('named %s neither stop nor change nor warn', async service => {
    const { config, warnings, sources } = await load(serviceVariables(service))
    expect(config).toEqual((await load({})).config)
    expect(warnings).toEqual([])
    expect(sources).toMatchObject({ environment: [], ignored: [] })
  })

  it('are known by their values too', async () => {
    const { warnings } = await load({ REGISTRY_HTTP_PORT: '5000', REGISTRY_SERVICE_HOST: 'registry.example.org' })
    expect(warnings).toHaveLength(2)
    expect((await load({ REGISTRY_LOG_FIELDS_PORT: '5000' })).config.log.fields).toEqual({ port: 5000 })
  })
})
