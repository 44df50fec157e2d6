import { once } from 'node:events'
import { lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Config } from '../../src/config.ts'
import { checkStart } from '../../src/node/check-start.ts'
import { holdsAddress } from '../../src/node/listeners.ts'
import { serveNode } from '../../src/node.ts'
import { loadText } from '../config/fixture.ts'
import { RecordedLog } from '../credentials/recorded-log.ts'
import { createCertificate, hasOpenssl } from '../http/certificate.ts'

let folder: string
/** A port of loopback that another program has. */
let taken: number
const other = createServer()

beforeAll(async () => {
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = other.address()
  taken = typeof address === 'object' && address !== null ? address.port : 0
})
afterAll(() => {
  other.close()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-check-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
})

const at = (name: string): string => join(folder, name)
const file = (name: string, content: string | Uint8Array = '') => writeFile(at(name), content)
const token = (more: string) => `auth: {token: {realm: "https://a.example", service: s, issuer: i, ${more}}}`
const acme = (more: string) =>
  `http: {tls: {letsencrypt: {email: a@example.com, hosts: [r.example.com], directoryurl: "https://127.0.0.1:1/dir", ${more}}}}`

/** Whatever is not said listens on a free port, and has its data in the folder. */
async function load(text: string): Promise<Config> {
  const environment = {
    ...(/\baddr:/.test(text) ? {} : { REGISTRY_HTTP_ADDR: '127.0.0.1:0' }),
    ...(/\blisten:/.test(text) ? {} : { REGISTRY_IPFS_LISTEN: '[]' })
  }
  const { config } = await loadText(`version: 0.1\n${text}\n`, environment, { dataDir: at('data') })
  return config
}

/** Every path below the folder, with what would show that it was written. */
async function contents(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  const about = names.sort().map(async name => {
    const { size, mtimeMs, ino } = await lstat(at(name))
    return `${name} ${size} ${mtimeMs} ${ino}`
  })
  return Promise.all(about)
}

/** What a start ends with. */
async function refusal(config: Config): Promise<string[]> {
  try {
    const node = await serveNode(config, { log: new RecordedLog(), version: 'test' })
    try {
      await node.identity()
    } finally {
      await node.close()
    }
    return []
  } catch (error) {
    return error instanceof Error ? error.message.split('\n') : [String(error)]
  }
}

type Case = [what: string, expected: RegExp, configuration: () => string, prepare?: () => unknown]

/** There `mkdir -p` of Node 24 never ends. */
const belowProc: Case = [
  'an audit log where the system keeps no files',
  /log\.audit\.path: cannot write \/proc\/none\/audit \(EOPNOTSUPP\); the system keeps no files there/,
  () => 'log: {audit: {path: /proc/none/audit}}'
]

/** Every refusal that a start knows. */
const cases: Case[] = [
  ['a data folder that is a file', /is not a folder: move it away/, () => '', () => file('data')],
  [
    'a data folder of a newer version',
    /storage layout 999, this version/,
    () => '',
    async () => {
      await mkdir(at('data'))
      await file('data/layout', '999\n')
    }
  ],
  [
    'a data folder whose version is unreadable',
    /layout does not hold a version number/,
    () => '',
    async () => {
      await mkdir(at('data'))
      await file('data/layout', 'x')
    }
  ],
  [
    'an audit log below a file',
    /log\.audit\.path: cannot write \S+ \(EEXIST\); its folder is a file/,
    () => `log: {audit: {path: ${at('f/audit')}}}`,
    () => file('f')
  ],
  [
    'an audit log that is a folder',
    /log\.audit\.path: cannot write \S+ \(EISDIR\); it is a folder/,
    () => `log: {audit: {path: ${folder}}}`
  ],
  [
    'an audit log that is a pipe or a device',
    /log\.audit\.path: cannot write \/dev\/null \(ESPIPE\); it is no regular file; name one/,
    () => 'log: {audit: {path: /dev/null}}'
  ],
  ...(process.platform === 'linux' ? [belowProc] : []),
  [
    'an audit log of no size',
    /log\.audit\.size: 1KiB is too small; write at least 64KiB/,
    () => `log: {audit: {path: ${at('audit')}, size: 1KiB}}`
  ],
  [
    'no users and no groups',
    /htpasswd: it cannot be read \(ENOENT\); make it: pinnace user hash NAME >> \S+htpasswd\n[^\n]+groups: it cannot be read \(ENOENT\); make it: echo/,
    () => `auth: {htpasswd: {path: ${at('htpasswd')}, groups: ${at('groups')}}}`
  ],
  [
    'a user without a hash',
    /auth\.htpasswd: \S+htpasswd, line 1: the password is kept as something else/,
    () => `auth: {htpasswd: {path: ${at('htpasswd')}}}`,
    () => file('htpasswd', 'alice:plaintext\n')
  ],
  [
    'groups with a line that is none',
    /auth\.htpasswd: \S+groups, line 1: no colon/,
    () => `auth: {htpasswd: {path: ${at('htpasswd')}, groups: ${at('groups')}}}`,
    async () => {
      await file('htpasswd')
      await file('groups', 'dev\n')
    }
  ],
  ['users that are a folder', /auth\.htpasswd: \S+: it is no file/, () => `auth: {htpasswd: {path: ${folder}}}`],
  [
    'no trusted keys',
    /bundle: it cannot be read \(ENOENT\); there is no such file\n[^\n]+jwks: it cannot be read/,
    () => token(`rootcertbundle: ${at('bundle')}, jwks: ${at('jwks')}`)
  ],
  [
    'trusted keys that are none',
    /auth\.token: \S+jwks: it is no JSON/,
    () => token(`jwks: ${at('jwks')}`),
    () => file('jwks', 'x')
  ],
  [
    'algorithms of shared secrets alone',
    /auth\.token\.signingalgorithms: whoever can check HS256 can make tokens too/,
    () => token(`jwks: ${at('jwks')}, signingalgorithms: [HS256]`)
  ],
  [
    'neither certificate nor key',
    /http\.tls\.certificate: cannot read \S+ \(ENOENT\)[^\n]+\nhttp\.tls\.key: cannot read/,
    () => `http: {tls: {certificate: ${at('c')}, key: ${at('k')}}}`
  ],
  [
    'a certificate that is none',
    /http\.tls\.certificate: \S+ holds no certificate in PEM form/,
    () => `http: {tls: {certificate: ${at('c')}, key: ${at('k')}}}`,
    () => Promise.all([file('c'), file('k')])
  ],
  [
    'a folder of certificates below a file',
    /http\.tls\.letsencrypt\.cachefile: \S+ cannot be used \(ENOTDIR\)/,
    () => acme(`cachefile: ${at('f/x/acme')}`),
    () => file('f')
  ],
  [
    'an account key that is none',
    /http\.tls\.letsencrypt\.cachefile: \S+ cannot be used : Error/,
    () => acme(`cachefile: ${at('acme')}`),
    async () => {
      await mkdir(at('acme'))
      await file('acme/acme_account+key', 'x')
    }
  ],
  [
    'an address for challenges that another program has',
    /cannot listen on 127\.0\.0\.1:\d+: another program has it.* with http\.tls\.letsencrypt\.http or REGISTRY_HTTP_TLS_LETSENCRYPT_HTTP$/,
    () => acme(`http: "127.0.0.1:${taken}"`)
  ],
  [
    'an address that another program has',
    /cannot listen on 127\.0\.0\.1:\d+: another program has it.* with http\.addr or REGISTRY_HTTP_ADDR$/,
    () => `http: {addr: "127.0.0.1:${taken}"}`
  ],
  [
    'an address for debugging that another program has',
    /cannot listen on 127\.0\.0\.1:\d+: another program has it.* with http\.debug\.addr or REGISTRY_HTTP_DEBUG_ADDR$/,
    () => `http: {debug: {addr: "127.0.0.1:${taken}"}, addr: "127.0.0.1:0"}`
  ],
  [
    'an address that this machine has not',
    /cannot listen on 192\.0\.2\.1: ?\S*.*this machine has no such address/,
    () => 'http: {addr: "192.0.2.1:0"}'
  ],
  [
    'a unix socket whose name is taken',
    /cannot listen on \S+sock: there is a file of that name; remove it .* with http\.addr/,
    () => `http: {net: unix, addr: ${at('sock')}}`,
    () => file('sock')
  ],
  [
    'a unix socket in no folder',
    /cannot listen on \S+sock: .*folder.* with http\.addr/,
    () => `http: {net: unix, addr: ${at('none/sock')}}`
  ],
  [
    'a unix socket below a file',
    /cannot listen on \S+sock: a part of the path is no folder/,
    () => `http: {net: unix, addr: ${at('f/sock')}}`,
    () => file('f')
  ],
  [
    'a node key that is none',
    /ipfs\.key\.file: cannot use \S+key: it is neither a libp2p private key/,
    () => `ipfs: {key: {file: ${at('key')}}}`,
    () => file('key', 'x')
  ],
  [
    'a node key that is a folder',
    /ipfs\.key\.file: cannot use \S+ \(EISDIR\); it is a folder/,
    () => `ipfs: {key: {file: ${folder}}}`
  ],
  [
    'a node key that is a link to nothing',
    /ipfs\.key\.file: \S+key is a link to nothing/,
    () => `ipfs: {key: {file: ${at('key')}}}`,
    () => symlink(at('nowhere'), at('key'))
  ],
  [
    'a node key below a file',
    /ipfs\.key\.file: cannot use \S+ \(ENOTDIR\); a part of the path is no folder/,
    () => `ipfs: {key: {file: ${at('f/key')}}}`,
    () => file('f')
  ],
  [
    'an IPFS address that another program has',
    /^IPFS cannot listen on 127\.0\.0\.1:\d+: another program has it.* with ipfs\.listen or REGISTRY_IPFS_LISTEN$/,
    () => `ipfs: {listen: [/ip4/127.0.0.1/tcp/${taken}]}`
  ],
  [
    'an IPFS address that is not TCP',
    /ipfs\.listen: "\/ip4\/127\.0\.0\.1\/udp\/4001\/quic-v1" is not plain TCP/,
    () => 'ipfs: {listen: [/ip4/127.0.0.1/udp/4001/quic-v1]}'
  ]
]

describe('what a start is refused for, its check finds, in the same words, and changes nothing', () => {
  it.each(cases)('%s', async (_what, expected, configuration, prepare = () => {}) => {
    await prepare()
    const config = await load(configuration())
    const before = await contents()
    const { problems } = await checkStart(config)
    expect(await contents()).toEqual(before)
    expect(problems.join('\n')).toMatch(expected)
    expect(await refusal(config)).toEqual(problems)
  })

  it.runIf(hasOpenssl)('a key that is another certificate’s (needs: apt-get install openssl)', async () => {
    await Promise.all([file('c', createCertificate().cert), file('k', createCertificate().key)])
    const config = await load(`http: {tls: {certificate: ${at('c')}, key: ${at('k')}}}`)
    const { problems } = await checkStart(config)
    expect(problems).toEqual([expect.stringMatching(/^http\.tls\.key: \S+k: it is not the key of the certificate in /)])
    expect(await refusal(config)).toEqual(problems)
  })

  it('two listeners that are in each other’s way', async () => {
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const address = free.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise(done => free.close(done))
    const twice = `"127.0.0.1:${port}"`
    const config = await load(acme(`http: ${twice}`).replace('http: {', `http: {addr: ${twice}, `))
    const { problems } = await checkStart(config)
    expect(problems).toEqual([expect.stringMatching(/another program has it.* with http\.addr or REGISTRY_HTTP_ADDR$/)])
    expect(await refusal(config)).toEqual(problems)
  })
})

describe('a check', () => {
  it('finds all of it in one round', async () => {
    await file('f')
    const config = await load(
      `log: {audit: {path: ${at('f/audit')}}}
http: {addr: "127.0.0.1:${taken}", tls: {certificate: ${at('c')}, key: ${at('k')}}}
auth: {htpasswd: {path: ${at('u')}, groups: ${at('g')}}}
ipfs: {key: {file: ${at('f/key')}}, listen: [/ip4/127.0.0.1/tcp/${taken}]}`.replace(/, debug: [^}]+\}/, '')
    )
    const { problems } = await checkStart(config)
    expect(problems).toHaveLength(8)
  })

  it('says nothing of a configuration that starts, and makes nothing', async () => {
    const config = await load(`log: {audit: {path: ${at('logs/audit')}}}`)
    expect(await checkStart(config)).toEqual({
      problems: [],
      warnings: [],
      dataFolder: { path: at('data'), exists: false }
    })
    expect(await readdir(folder)).toEqual([])
    expect(await refusal(config)).toEqual([])
  })

  it('takes what the node of that folder has for free', async () => {
    const config = await load(`http: {addr: "127.0.0.1:${taken}"}`)
    const held = (...listeners: string[]) =>
      checkStart(config, { isHeld: address => holdsAddress(listeners, address) }).then(
        ({ problems }) => problems.length
      )
    expect(await held()).toBe(1)
    expect(await held('127.0.0.1:1')).toBe(1)
    expect(await held(`192.0.2.7:${taken}`)).toBe(1)
    for (const own of [`127.0.0.1:${taken}`, `:${taken}`, `[::]:${taken}`, `localhost:${taken}`])
      expect(await held(own)).toBe(0)
  })

  it('warns of the images of another registry, as a start does, until they are gone', async () => {
    await mkdir(at('data/docker/registry/v2/repositories'), { recursive: true })
    const config = await load('')
    const warning = `${at('data/docker/registry/v2')} holds the images of another registry (distribution, the image "registry"), which are not taken over: docs/migrate.md says how to copy them`
    expect(await checkStart(config)).toMatchObject({ problems: [], warnings: [warning] })
    const log = new RecordedLog()
    const node = await serveNode(config, { log, version: 'test' })
    await node.close()
    expect(log.lines).toContain(`warn {} ${warning}`)
    await rm(at('data/docker'), { recursive: true })
    expect(await checkStart(config)).toMatchObject({ problems: [], warnings: [] })
  })
})
