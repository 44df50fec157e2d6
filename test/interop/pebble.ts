import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { startDaemon } from './daemon.ts'
import { requireTool } from './find.ts'

export interface PebbleOptions {
  /** Port on loopback that TLS-ALPN-01 is asked at. */
  tlsPort: number
  /** Port on loopback that HTTP-01 is asked at; default one that nobody listens on. */
  httpPort?: number
  /** Seconds that a certificate is good for; default 90 days. */
  validity?: number
  /** Names that it gives no certificate for. */
  blocked?: readonly string[]
  /** Percent of nonces that are refused; default none. */
  badNonces?: number
  /** Address of the directory; default a free port. A stopped one can so be started again. */
  port?: number
}

/** Let's Encrypt's test CA in a process of its own: it keeps nothing, and everybody knows that. */
export interface Pebble {
  readonly directoryUrl: string
  readonly port: number
  /** PEM file with the authority of its API's own certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly authority: string
  /** PEM of the root of the certificates it gives. */
  readonly root: string
  logs(): string
  close(): Promise<void>
}

/** A port that was free just now. */
export async function freeLoopbackPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-pebble-'))
  try {
    const [port, management, idle] = [
      options.port ?? (await freeLoopbackPort()),
      await freeLoopbackPort(),
      await freeLoopbackPort()
    ]
    const files = makeApiCertificate(folder)
    const config = join(folder, 'pebble.json')
    await writeFile(config, JSON.stringify({ pebble: settings(options, { port, management, idle, ...files }) }))
    const daemon = await startDaemon('pebble', ['-config', config], {
      ready: /Listening on:/,
      env: {
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_AUTHZREUSE: '0',
        PEBBLE_WFE_NONCEREJECT: String(options.badNonces ?? 0)
      }
    })
    const root = await eventually(() => download(management, '/roots/0'))
    return {
      directoryUrl: `https://127.0.0.1:${port}/dir`,
      port,
      authority: files.certificate,
      root,
      logs: () => daemon.logs(),
      close: async () => {
        await daemon.stop()
        await rm(folder, { recursive: true, force: true })
      }
    }
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw cause
  }
}

interface Places {
  port: number
  management: number
  idle: number
  certificate: string
  privateKey: string
}

function settings(options: PebbleOptions, { port, management, idle, certificate, privateKey }: Places): object {
  return {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate,
    privateKey,
    httpPort: options.httpPort ?? idle,
    tlsPort: options.tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
    domainBlocklist: options.blocked ?? [],
    retryAfter: { authz: 1, order: 1 },
    profiles: { default: { description: 'the only one', validityPeriod: options.validity ?? 90 * 86_400 } }
  }
}

function makeApiCertificate(folder: string): { certificate: string; privateKey: string } {
  const [certificate, privateKey] = [join(folder, 'api.pem'), join(folder, 'api.key')]
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', privateKey]
  const request = ['req', '-x509', '-subj', '/CN=localhost', '-days', '2', '-out', certificate]
  execFileSync(requireTool('openssl'), [...request, ...key, ...names], { stdio: 'ignore' })
  return { certificate, privateKey }
}

async function eventually<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await ask()
    } catch (error) {
      if (left === 0) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

function download(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }, response => {
      text(response).then(resolve, reject)
    }).once('error', reject)
  })
}
