import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { listenAddresses, loadConfig, printConfig } from '../../src/config.ts'
import { home, loadText, problemsOf, shortWarnings, temporaryFile } from './fixture.ts'

function shipped(name: string): string {
  return fileURLToPath(new URL(`../../config/${name}`, import.meta.url))
}

describe('without a file', () => {
  it('listens on loopback only, deletes, checks the disk, and warns of nothing', async () => {
    const { config, warnings, sources } = await loadConfig({ environment: home })
    expect(config).toMatchObject({
      version: '0.1',
      log: { level: 'info', formatter: 'text', fields: {}, accesslog: { disabled: false } },
      storage: {
        filesystem: { rootdirectory: '/home/ada/.local/share/pinnace', maxthreads: 100 },
        delete: { enabled: true },
        maintenance: {
          uploadpurging: { enabled: true, age: 604_800_000, interval: 86_400_000, dryrun: false },
          readonly: { enabled: false }
        },
        redirect: { disable: false }
      },
      http: {
        addr: ['127.0.0.1:5005', '[::1]:5005'],
        net: 'tcp',
        prefix: '/',
        relativeurls: true,
        draintimeout: 30_000,
        headers: {},
        debug: { prometheus: { enabled: false, path: '/metrics' } }
      },
      health: { storagedriver: { enabled: true, interval: 10_000, threshold: 3 } },
      validation: {
        disabled: false,
        manifests: {
          urls: { allow: [], deny: [] },
          indexes: { platforms: 'all', platformlist: [] },
          sparse: 'none'
        }
      },
      ipfs: {
        announce: [],
        peers: [],
        scrub: { interval: 0 },
        verify: { reads: 'changed' },
        timeouts: { headers: 30_000, stall: 60_000 },
        limits: { manifest: 4 * 1024 * 1024 }
      }
    })
    expect(config.http.tls).toBeUndefined()
    expect(config.http.debug.addr).toBeUndefined()
    expect(listenAddresses(config.http)).toEqual([
      { kind: 'tcp', host: '127.0.0.1', port: 5005 },
      { kind: 'tcp', host: '::1', port: 5005 }
    ])
    // Left to the IPFS side, which takes a free port where the usual one is taken.
    expect(config.ipfs.listen).toBeUndefined()
    expect(warnings).toEqual([])
    expect(sources).toEqual({ environment: [], ignored: [], keys: new Set() })
  })

  it('puts data in the XDG data folder, ignoring a relative one', async () => {
    const folder = async (environment: Record<string, string>) =>
      (await loadConfig({ environment })).config.storage.filesystem.rootdirectory
    expect(await folder({ ...home, XDG_DATA_HOME: '/data' })).toBe('/data/pinnace')
    expect(await folder({ ...home, XDG_DATA_HOME: 'data' })).toBe('/home/ada/.local/share/pinnace')
    expect(await folder({ ...home, REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS: '50' })).toBe(
      '/home/ada/.local/share/pinnace'
    )
    expect(await problemsOf(loadConfig({ environment: {} }))).toEqual([expect.stringContaining('use --data DIR')])
    expect((await loadConfig({ environment: {}, dataDir: '/d' })).config.storage.filesystem.rootdirectory).toBe('/d')
  })

  it('is frozen all the way down', async () => {
    const { config } = await loadConfig({ environment: home })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.http.addr)).toBe(true)
    expect(Object.isFrozen(config.storage.maintenance.uploadpurging)).toBe(true)
  })

  it('keeps nothing between two loads', async () => {
    const first = await loadConfig({
      environment: {
        ...home,
        REGISTRY_HTTP_HEADERS_X: '[y]',
        REGISTRY_IPFS_PEERS: '[/ip4/1.2.3.4/tcp/1/p2p/12D3KooWGQ5vNKCbs5cVJQ4SPZTvrfyRhhdZ8gqs3XzXQ6PDpTDk]'
      }
    })
    const second = await loadConfig({ environment: home })
    expect(first.config.http.headers).toEqual({ x: ['y'] })
    expect(second.config.http.headers).toEqual({})
    expect(first.config.ipfs.peers).toHaveLength(1)
    expect(second.config.ipfs.peers).toEqual([])
  })
})

describe('with a file', () => {
  it("takes distribution's defaults where they differ", async () => {
    const { config } = await loadText('version: 0.1\n')
    expect(config.storage.delete.enabled).toBe(false)
    expect(config.health.storagedriver).toEqual({ enabled: false, interval: 10_000, threshold: 1 })
    expect(config.http.addr).toEqual(['127.0.0.1:5005', '[::1]:5005'])
  })

  it.each([
    ['storage: filesystem', '/var/lib/registry'],
    ['storage: {filesystem: }', '/var/lib/registry'],
    ['storage: {filesystem: {maxthreads: 30}}', '/var/lib/registry'],
    ['storage: {delete: {enabled: true}}', '/home/ada/.local/share/pinnace'],
    ['storage: {filesystem: {rootdirectory: 0777}}', '0777']
  ])('%s keeps data in %s', async (storage, folder) => {
    expect((await loadText(`version: 0.1\n${storage}\n`)).config.storage.filesystem.rootdirectory).toBe(folder)
    expect(
      (await loadText(`version: 0.1\n${storage}\n`, {}, { dataDir: '/given' })).config.storage.filesystem.rootdirectory
    ).toBe('/given')
  })

  it('is found by REGISTRY_CONFIGURATION_PATH, which an argument wins over', async () => {
    const [one, two] = [await temporaryFile('version: 0.1\nlog: {level: debug}'), await temporaryFile('version: 0.1')]
    const environment = { ...home, REGISTRY_CONFIGURATION_PATH: one }
    const loaded = await loadConfig({ environment })
    expect(loaded.config.log.level).toBe('debug')
    expect(loaded.sources.file).toBe(one)
    expect(loaded.warnings).toEqual([])
    expect((await loadConfig({ file: two, environment })).config.log.level).toBe('info')
  })

  it.each([
    ['version: 0.1\nhttp:\n', { addr: ['127.0.0.1:5005', '[::1]:5005'] }],
    ['version: "0.1"\nhttp: {addr: [":1", ":2"]}\n', { addr: [':1', ':2'] }],
    ['version: 0.1\nhttp: {addr: /run/r.sock, net: UNIX}\n', { addr: ['/run/r.sock'], net: 'unix' }],
    ['version: 0.1\nhttp: {tls: {}}\n', { addr: ['127.0.0.1:5005', '[::1]:5005'] }],
    ['version: 0.1\nhttp: {relativeurls: no}\n', { relativeurls: false }],
    ['version: 0.1\nhttp: {host: "https://r.example.com"}\n', { relativeurls: false, host: 'https://r.example.com' }],
    ['version: 0.1\nhttp: {host: "https://r.example.com", relativeurls: on}\n', { relativeurls: true }],
    ['version: 0.1\nhttp: {draintimeout: 5000000000}\n', { draintimeout: 5000 }],
    ['version: 0.1\nhttp: {draintimeout: 0}\n', { draintimeout: 0 }],
    ['version: 0.1\nhttp: {headers: {X-A: b, X-C: [d, e]}}\n', { headers: { 'X-A': ['b'], 'X-C': ['d', 'e'] } }],
    [
      'version: 0.1\nhttp:\n  <<: [{prefix: /a/}, {prefix: /b/, net: unix}]\n  net: tcp\n',
      { prefix: '/a/', net: 'tcp' }
    ],
    [
      'version: 0.1\nhttp: {prefix: &p /a/, debug: {addr: ":6", prometheus: {path: *p }}}\n',
      { debug: { prometheus: { path: '/a/' } } }
    ]
  ])('%j', async (text, http) => {
    expect((await loadText(text)).config.http).toMatchObject(http)
  })

  it('knows which keys were written', async () => {
    const { sources } = await loadText('version: 0.1\nhttp: {addr: ":1"}', { REGISTRY_LOG_LEVEL: 'debug' })
    expect(sources.keys.has('http.addr')).toBe(true)
    expect(sources.keys.has('log.level')).toBe(true)
    expect(sources.keys.has('ipfs.listen')).toBe(false)
    expect(sources.environment).toEqual(['REGISTRY_LOG_LEVEL'])
  })

  it('reads loglevel, and log.level over it', async () => {
    const old = await loadText('version: 0.1\nloglevel: WARN')
    expect(old.config.log.level).toBe('warn')
    expect(shortWarnings(old)).toEqual(['config.yml:2: loglevel is deprecated; write log.level'])
    expect((await loadText('version: 0.1\nloglevel: warn\nlog: {level: error}')).config.log.level).toBe('error')
    expect(await problemsOf(loadText('version: 0.1\nloglevel: loud'))).toEqual([
      'config.yml:2: log.level: "loud" is not a log level; write error, warn, info, debug'
    ])
  })
})

describe('the warning that nothing asks for a password', () => {
  it.each([
    ['127.0.0.1:5005', 0],
    ['localhost:0', 0],
    ['"[::1]:5005"', 0],
    ['"[0:0:0:0:0:0:0:1]:5005"', 0],
    ['"[::ffff:127.0.0.1]:5005"', 0],
    ['127.8.9.10:1', 0],
    ['":5005"', 1],
    ['0.0.0.0:5000', 1],
    ['"[::]:5000"', 1],
    ['192.168.1.2:5000', 1],
    ['registry.example.com:5000', 1],
    ['[127.0.0.1:1, ":2", ":3", "0.0.0.0:4"]', 1]
  ])('http.addr %s: %i', async (addr, count) => {
    const { warnings } = await loadText(`version: 0.1\nhttp: {addr: ${addr}}\n`)
    expect(warnings.filter(warning => warning.includes('password'))).toHaveLength(count)
    expect(warnings).toHaveLength(count)
  })

  it('is not given for a unix socket', async () => {
    expect((await loadText('version: 0.1\nhttp: {addr: /run/r.sock, net: unix}')).warnings).toEqual([])
  })
})

describe('the configurations in config/', () => {
  it('estuary.yml starts, with one warning for its address and one for its target', async () => {
    const { config, warnings } = await loadConfig({ file: shipped('estuary.yml'), environment: home })
    expect(config.storage.estuary).toEqual({
      url: 'https://api.estuary.tech',
      'shuttle-url': 'https://shuttle-4.estuary.tech',
      'auth-token': 'TOKEN_GOES_HERE',
      rootdirectory: '/tmp/r'
    })
    expect(listenAddresses(config.http)).toEqual([{ kind: 'tcp', port: 5005 }])
    expect(config.http.headers).toEqual({ 'X-Content-Type-Options': ['nosniff'] })
    expect(config.log.fields).toEqual({ service: 'registry' })
    expect(config.health.storagedriver).toEqual({ enabled: true, interval: 10_000, threshold: 3 })
    expect(warnings).toHaveLength(2)
    expect(warnings.filter(warning => warning.includes('storage.estuary'))).toHaveLength(1)
    expect([printConfig(config), ...warnings].join()).not.toContain('TOKEN_GOES_HERE')
  })

  it("registry.yml, distribution's, starts with the variables of the Storj seed", async () => {
    const environment = {
      ...home,
      REGISTRY_STORAGE_STORJ_BUCKET: '2026',
      REGISTRY_STORAGE_STORJ_ACCESSGRANT: '1QpaD4Xn+not:a#grant'
    }
    const { config, warnings } = await loadConfig({ file: shipped('registry.yml'), environment })
    expect(config.storage.storj).toEqual({ bucket: '2026', accessgrant: '1QpaD4Xn+not:a#grant' })
    expect(config.storage.filesystem.rootdirectory).toBe('/var/lib/registry')
    expect(config.http.addr).toEqual([':5000'])
    expect(warnings.map(warning => warning.replace(/^.*registry\.yml:/, ''))).toEqual([
      expect.stringMatching(/^\d+: storage\.cache is a setting of distribution that Pinnace does not have; ignored$/),
      expect.stringContaining('http.addr :5000'),
      expect.stringContaining('storage.storj')
    ])
    expect([printConfig(config), ...warnings].join()).not.toContain('1QpaD4Xn')
  })

  it('pinnace.yml shows the defaults of a start without a file', async () => {
    const file = shipped('pinnace.yml')
    const { config, warnings } = await loadConfig({ file, environment: home })
    expect(config).toEqual((await loadConfig({ environment: home })).config)
    expect(warnings).toEqual([])
    expect(await readFile(file, 'utf8')).toContain('version: 0.1')
  })
})
