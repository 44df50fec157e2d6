import type { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { startProgram } from './daemon.ts'
import { freeLoopbackPort, type Pebble, type PebbleOptions, startPebble } from './pebble.ts'
import { type Daemon, describeWithTools } from './tools.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

interface Serving {
  daemon: Daemon
  folder: string
  port: number
}

interface NodeOptions {
  folder?: string
  port: number
  hosts?: string[]
  http?: string
  directoryUrl: string
  authority: string
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-acme-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A node whose certificates come from the authority; ready as soon as its port is open. */
async function startNode(options: NodeOptions): Promise<Serving> {
  const folder = options.folder ?? (await temporaryFolder())
  const { port, hosts = ['localhost'], http, directoryUrl } = options
  const letsencrypt = { email: 'ops@example.com', hosts, directoryurl: directoryUrl, ...(http && { http }) }
  const file = join(folder, 'config.yml')
  const config = {
    version: 0.1,
    log: { formatter: 'json' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: `127.0.0.1:${port}`, tls: { letsencrypt } },
    ipfs: { listen: ['/ip4/127.0.0.1/tcp/0'] }
  }
  await writeFile(file, JSON.stringify(config))
  const daemon = await startProgram(process.execPath, [main, 'serve', file], {
    ready: new RegExp(`:${port}\\b`),
    env: { NODE_EXTRA_CA_CERTS: options.authority }
  })
  onTestFinished(() => daemon.stop())
  return { daemon, folder, port }
}

async function authority(options: PebbleOptions): Promise<Pebble> {
  const pebble = await startPebble(options)
  onTestFinished(() => pebble.close())
  return pebble
}

/** The certificate that a client is given, verified by the authority's root. */
function certificateOf(port: number, servername: string, ca: string): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca, ALPNProtocols: ['http/1.1'] }, () => {
      const certificate = socket.getPeerX509Certificate()
      socket.destroy()
      if (certificate === undefined) reject(new Error('no certificate'))
      else resolve(certificate)
    })
    socket.once('error', reject)
  })
}

async function eventually<T>(ask: () => Promise<T> | T, logs: () => string, limit = 60_000): Promise<T> {
  const end = Date.now() + limit
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > end) throw new Error(`${String(error)}\n${logs()}`, { cause: error })
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }
}

describeWithTools(['pebble', 'openssl'], 'certificates from an ACME authority', () => {
  it('TLS-ALPN-01 at the registry’s own port: got, kept 0600, used again after a restart', {
    timeout: 120_000
  }, async () => {
    const port = await freeLoopbackPort()
    const pebble = await authority({ tlsPort: port, badNonces: 20 })
    const first = await startNode({ ...pebble, port })
    const logs = () => first.daemon.logs() + pebble.logs()
    const certificate = await eventually(() => certificateOf(port, 'localhost', pebble.root), logs)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    const kept = join(first.folder, 'data', 'acme')
    expect((await readdir(kept)).sort()).toEqual(['acme_account+key', 'localhost'])
    for (const name of await readdir(kept)) expect((await stat(join(kept, name))).mode & 0o777).toBe(0o600)
    expect((await stat(kept)).mode & 0o777).toBe(0o700)
    expect(first.daemon.logs()).toContain('getting a certificate')
    expect(first.daemon.logs()).not.toContain('PRIVATE KEY')
    await first.daemon.stop()
    const second = await startNode({ ...pebble, port, folder: first.folder })
    const again = await eventually(() => certificateOf(port, 'localhost', pebble.root), logs)
    expect(again.fingerprint256).toBe(certificate.fingerprint256)
    expect(second.daemon.logs()).not.toContain('getting a certificate')
  })

  it('HTTP-01 on a listener of its own', { timeout: 120_000 }, async () => {
    const [port, httpPort, tlsPort] = [await freeLoopbackPort(), await freeLoopbackPort(), await freeLoopbackPort()]
    const pebble = await authority({ tlsPort, httpPort })
    const node = await startNode({ ...pebble, port, http: `127.0.0.1:${httpPort}` })
    const logs = () => node.daemon.logs() + pebble.logs()
    const certificate = await eventually(() => certificateOf(port, 'localhost', pebble.root), logs)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    const status = await new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: httpPort, path: '/v2/', agent: false }, response =>
        resolve(text(response).then(() => response.statusCode))
      ).once('error', reject)
    })
    expect(status).toBe(404)
  })

  it('renewed at two thirds of its life, without an end of service', { timeout: 120_000 }, async () => {
    const port = await freeLoopbackPort()
    const pebble = await authority({ tlsPort: port, validity: 15 })
    const node = await startNode({ ...pebble, port })
    const logs = () => node.daemon.logs() + pebble.logs()
    const first = await eventually(() => certificateOf(port, 'localhost', pebble.root), logs)
    const second = await eventually(async () => {
      // Every handshake on the way has to succeed.
      const current = await certificateOf(port, 'localhost', pebble.root)
      if (current.fingerprint256 === first.fingerprint256) throw new Error('still the first')
      return current
    }, logs)
    expect(second.validFromDate.getTime()).toBeLessThan(first.validToDate.getTime())
    expect(node.daemon.logs()).toContain('renewing the certificate')
  })

  it('an authority that is down: the node serves, handshakes fail cleanly, and a later start succeeds', {
    timeout: 120_000
  }, async () => {
    const [port, port2] = [await freeLoopbackPort(), await freeLoopbackPort()]
    const pebble = await authority({ tlsPort: port })
    const down = `https://127.0.0.1:${port2}/dir`
    const node = await startNode({ ...pebble, port, directoryUrl: down })
    await eventually(() => expect(node.daemon.logs()).toMatch(/ECONNREFUSED/), node.daemon.logs)
    await expect(certificateOf(port, 'localhost', pebble.root)).rejects.toThrow()
    // One attempt, and then a pause.
    expect(node.daemon.logs().match(/getting a certificate/g)).toHaveLength(1)
    const attempts = join(node.folder, 'data', 'acme', 'localhost+attempts')
    expect(JSON.parse(await readFile(attempts, 'utf8'))).toMatchObject({ version: 1, failures: 1 })
    await node.daemon.stop()
    const waiting = await startNode({ ...pebble, port, folder: node.folder })
    await eventually(() => expect(waiting.daemon.logs()).toContain('asked again later'), waiting.daemon.logs)
    await waiting.daemon.stop()
    await rm(attempts)
    const last = await startNode({ ...pebble, port, folder: node.folder })
    await eventually(
      () => certificateOf(port, 'localhost', pebble.root),
      () => last.daemon.logs() + pebble.logs()
    )
  })

  it('a refused challenge and a refused name tell what the authority said', { timeout: 120_000 }, async () => {
    const [port, elsewhere] = [await freeLoopbackPort(), await freeLoopbackPort()]
    const pebble = await authority({ tlsPort: elsewhere, blocked: ['blocked.example'] })
    const node = await startNode({ ...pebble, port, hosts: ['localhost', 'blocked.example'] })
    await eventually(
      () => {
        expect(node.daemon.logs()).toMatch(/tls-alpn-01 for localhost was refused: Failed to connect to 127\.0\.0\.1:/)
        expect(node.daemon.logs()).toMatch(/blocked\.example[^\n]*(?:blocked|policy|rejected)/i)
      },
      () => node.daemon.logs() + pebble.logs()
    )
  })

  it('kill -9 in the middle of the order, then a start', { timeout: 120_000 }, async () => {
    const port = await freeLoopbackPort()
    const pebble = await authority({ tlsPort: port })
    const node = await startNode({ ...pebble, port })
    await eventually(
      () => expect(pebble.logs()).toMatch(/order/i),
      () => node.daemon.logs() + pebble.logs()
    )
    await node.daemon.kill()
    const again = await startNode({ ...pebble, port, folder: node.folder })
    const logs = () => again.daemon.logs() + pebble.logs()
    await eventually(() => certificateOf(port, 'localhost', pebble.root), logs)
    const files = await readdir(join(node.folder, 'data', 'acme'))
    expect(files.filter(name => !name.startsWith('.')).sort()).toEqual(['acme_account+key', 'localhost'])
  })
})
