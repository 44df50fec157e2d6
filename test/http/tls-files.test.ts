import { copyFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTlsFiles, type TlsFiles } from '../../src/http/tls-files.ts'
import { createCertificate, hasOpenssl } from './certificate.ts'
import { memoryLog, type Served, serve } from './serve.ts'

interface Setup {
  folder: string
  certificate: string
  key: string
  files: TlsFiles
  log: ReturnType<typeof memoryLog>
  served: Served
}

const quick = { pollMs: 50, settleMs: 20 }

async function write(folder: string, { key, cert } = createCertificate()): Promise<void> {
  await Promise.all([writeFile(join(folder, 'tls.crt'), cert), writeFile(join(folder, 'tls.key'), key)])
}

async function setUp(prepare: (folder: string) => Promise<void> = write): Promise<Setup> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-tls-files-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await prepare(folder)
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const log = memoryLog()
  const context = { minVersion: 'TLSv1.2' as const }
  const files = await openTlsFiles({ log }, { certificate, key, context, ...quick })
  onTestFinished(() => files.close())
  const served = await serve({ listenInit: { tls: context, certificates: files } })
  return { folder, certificate, key, files, log, served }
}

function handshake(port: number, options: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => resolve(socket))
    socket.once('error', reject)
    onTestFinished(() => void socket.destroy())
  })
}

async function fingerprint(port: number): Promise<string> {
  const socket = await handshake(port)
  const peer: PeerCertificate = socket.getPeerCertificate()
  socket.destroy()
  return peer.fingerprint256
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 400; !(await condition()); left--) {
    if (left === 0) throw new Error('did not come')
    await new Promise(resolve => setTimeout(resolve, 25))
  }
}

describe.skipIf(!hasOpenssl)('certificate files (needs: apt-get install openssl)', () => {
  it('are read again when others are renamed over them, and open connections stay', async () => {
    const { folder, certificate, key, served } = await setUp()
    const before = await fingerprint(served.port)
    const open = await handshake(served.port)
    const fresh = createCertificate()
    await writeFile(join(folder, 'new.crt'), fresh.cert)
    await writeFile(join(folder, 'new.key'), fresh.key)
    await rename(join(folder, 'new.crt'), certificate)
    await rename(join(folder, 'new.key'), key)
    await until(async () => (await fingerprint(served.port)) !== before)
    open.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const answer = await new Promise<string>(resolve => open.once('data', data => resolve(String(data))))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(open.alpnProtocol === false || open.alpnProtocol === 'http/1.1').toBe(true)
  })

  it('are read again when a symbolic link above them points elsewhere, as Kubernetes does', async () => {
    const { folder, served, log } = await setUp(async folder => {
      await mkdir(join(folder, '..1'))
      await write(join(folder, '..1'))
      await symlink('..1', join(folder, '..data'))
      for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), join(folder, name))
    })
    const before = await fingerprint(served.port)
    await mkdir(join(folder, '..2'))
    await write(join(folder, '..2'))
    await symlink('..2', join(folder, '..tmp'))
    await rename(join(folder, '..tmp'), join(folder, '..data'))
    await until(async () => (await fingerprint(served.port)) !== before)
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it.each([
    ['garbage', 'tls.crt', 'nonsense', /holds no certificate/],
    ['nothing', 'tls.key', '', /holds no private key/],
    ['the key of another', 'tls.key', undefined, /is not the key of the certificate/]
  ])('that hold %s are told of, and the pair before stays', async (_what, name, content, message) => {
    const { folder, served, log } = await setUp()
    const before = await fingerprint(served.port)
    await writeFile(join(folder, name), content ?? createCertificate().key)
    await until(() => log.lines.some(({ level }) => level === 'error'))
    const [line] = log.lines.filter(({ level }) => level === 'error')
    expect(JSON.stringify(line)).toMatch(message)
    expect(JSON.stringify(log.lines)).not.toContain('PRIVATE KEY')
    expect(await fingerprint(served.port)).toBe(before)
    await write(folder)
    await until(async () => (await fingerprint(served.port)) !== before)
  })

  it('that are gone leave the pair before in use', async () => {
    const { certificate, served, log } = await setUp()
    const before = await fingerprint(served.port)
    await rm(certificate)
    await until(() => log.lines.some(({ level }) => level === 'error'))
    expect(await fingerprint(served.port)).toBe(before)
  })

  it('that do not fit stop the start, and say which', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pinnace-tls-files-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    const log = memoryLog()
    const opened = () => openTlsFiles({ log }, { certificate, key })
    await expect(opened()).rejects.toMatchObject({ errors: [{ which: 'certificate' }, { which: 'key' }] })
    await writeFile(key, '')
    await expect(opened()).rejects.toMatchObject({ name: 'TlsFileError', which: 'certificate' })
    await write(folder)
    await copyFile(certificate, key)
    await expect(opened()).rejects.toMatchObject({ name: 'TlsFileError', which: 'key' })
  })

  it('are replaced under load without losing a request', async () => {
    const { folder, certificate, key, served } = await setUp()
    const agent = new Agent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false })
    onTestFinished(() => agent.destroy())
    const ask = (own: boolean) =>
      new Promise<number>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: served.port, path: '/v2/', rejectUnauthorized: false }
        request({ ...options, agent: own ? agent : false }, response => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0))
        })
          .once('error', reject)
          .end()
      })
    const fingerprints = new Set([await fingerprint(served.port)])
    const stop = { now: false }
    const statuses: number[] = []
    const asking = [true, true, false, false].map(async own => {
      while (!stop.now) statuses.push(await ask(own))
    })
    for (let times = 0; times < 3; times++) {
      const { cert, key: fresh } = createCertificate()
      await writeFile(join(folder, 'a'), cert)
      await writeFile(join(folder, 'b'), fresh)
      await rename(join(folder, 'a'), certificate)
      await rename(join(folder, 'b'), key)
      const size = fingerprints.size
      await until(async () => fingerprints.add(await fingerprint(served.port)).size > size)
    }
    stop.now = true
    await Promise.all(asking)
    expect(statuses.length).toBeGreaterThan(10)
    expect(statuses.every(status => status === 200)).toBe(true)
  })

  it('TLS below the lowest version is refused', async () => {
    const { served } = await setUp()
    await expect(handshake(served.port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()
    const socket = await handshake(served.port, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect(socket.alpnProtocol).toBe('http/1.1')
  })
})
