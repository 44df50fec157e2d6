import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ipfs, type IpfsInit, startIpfs } from '../../src/ipfs/ipfs.ts'
import { readPeerId } from '../../src/ipfs/peer-id.ts'
import type { Log } from '../../src/registry/ports.ts'
import { FileSource } from './file-source.ts'
import { silentLog } from './silent-log.ts'
import { temporaryFolder } from './temporary-folder.ts'

const anywhere = ['/ip4/127.0.0.1/tcp/0']

async function start(folder: string, init: Partial<IpfsInit> = {}, log: Log = silentLog): Promise<Ipfs> {
  const components = { source: new FileSource(), log, onCorrupt: () => undefined }
  const ipfs = await startIpfs(components, { folder: join(folder, 'ipfs'), listen: anywhere, ...init })
  onTestFinished(() => ipfs.stop())
  return ipfs
}

/** Takes a port of loopback, if nobody else has it. */
async function occupy(port: number): Promise<number> {
  const server: Server = createServer()
  await new Promise<void>(resolve => {
    server.once('error', () => resolve())
    server.listen(port, '127.0.0.1', () => resolve())
  })
  onTestFinished(() => new Promise(resolve => server.close(() => resolve())))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

describe('the key', () => {
  it('is made at the first start, for its owner only, and is the same at the second', async () => {
    const folder = await temporaryFolder()
    const first = await start(folder)
    const file = join(folder, 'ipfs', 'key')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await first.stop()
    const second = await start(folder)
    expect(second.peerId).toBe(first.peerId)
    expect(second.peerId).toMatch(/^12D3KooW/)
    expect(await readPeerId(join(folder, 'ipfs'), undefined, silentLog)).toBe(first.peerId)
  })

  it('lives in key.file, in the form Kubo and Helia keep theirs', async () => {
    const folder = await temporaryFolder()
    const keyFile = join(folder, 'elsewhere', 'node.key')
    const key = await generateKeyPair('Ed25519')
    await mkdir(join(folder, 'elsewhere'))
    await writeFile(keyFile, privateKeyToProtobuf(key), { mode: 0o600 })
    const { peerId } = await start(folder, { keyFile })
    expect(peerId).toBe(key.publicKey.toString())
    await expect(readFile(join(folder, 'ipfs', 'key'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is made in key.file where there is none', async () => {
    const folder = await temporaryFolder()
    const keyFile = join(folder, 'elsewhere', 'node.key')
    const { peerId } = await start(folder, { keyFile })
    expect(await readPeerId(folder, keyFile, silentLog)).toBe(peerId)
  })

  it('warns when others can read it', async () => {
    const folder = await temporaryFolder()
    const keyFile = join(folder, 'node.key')
    await readPeerId(folder, keyFile, silentLog)
    await chmod(keyFile, 0o644)
    const warnings: object[] = []
    await readPeerId(folder, keyFile, { ...silentLog, warn: fields => warnings.push(fields) })
    expect(warnings).toEqual([{ file: keyFile, mode: '644' }])
  })

  it('is refused, by the name of its setting, when it is something else', async () => {
    const folder = await temporaryFolder()
    const rsa = privateKeyToProtobuf(await generateKeyPair('RSA', 2048))
    for (const [name, bytes] of Object.entries({ junk: Buffer.from('junk'), empty: Buffer.alloc(0), rsa })) {
      const keyFile = join(folder, name)
      await writeFile(keyFile, bytes, { mode: 0o600 })
      await expect(start(folder, { keyFile })).rejects.toMatchObject({ setting: 'ipfs.key.file' })
    }
    await expect(start(folder, { keyFile: folder })).rejects.toThrow(/^ipfs\.key\.file: /)
  })
})

describe('listening', () => {
  it('is on loopback by default, on any port where 4001 is taken', async () => {
    await occupy(4001)
    const folder = await temporaryFolder()
    const ipfs = await startIpfs(
      { source: new FileSource(), log: silentLog, onCorrupt: () => undefined },
      { folder: join(folder, 'ipfs') }
    )
    onTestFinished(() => ipfs.stop())
    const [address = ''] = ipfs.multiaddrs()
    expect(ipfs.multiaddrs()).toHaveLength(1)
    expect(address).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW/)
    expect(address).not.toContain('/tcp/4001/')
  })

  it('fails, by the name of the setting, where the operator said a port that is taken; nothing is left behind', async () => {
    const port = await occupy(0)
    const folder = await temporaryFolder()
    await expect(start(folder, { listen: [`/ip4/127.0.0.1/tcp/${port}`] })).rejects.toMatchObject({
      setting: 'ipfs.listen'
    })
    // The datastore is locked by whoever has it open.
    expect((await start(folder)).multiaddrs()).toHaveLength(1)
  })

  it('can be nowhere', async () => {
    const ipfs = await start(await temporaryFolder(), { listen: [] })
    expect(ipfs.multiaddrs()).toEqual([])
  })

  it('is announced as the operator says', async () => {
    const ipfs = await start(await temporaryFolder(), { announce: ['/dns4/registry.example/tcp/4001'] })
    expect(ipfs.multiaddrs()).toEqual([`/dns4/registry.example/tcp/4001/p2p/${ipfs.peerId}`])
  })

  it('refuses what is no multiaddr, by the name of the setting', async () => {
    const folder = await temporaryFolder()
    await expect(start(folder, { listen: ['127.0.0.1:4001'] })).rejects.toMatchObject({ setting: 'ipfs.listen' })
    await expect(start(folder, { announce: ['example.com'] })).rejects.toMatchObject({ setting: 'ipfs.announce' })
  })
})

describe('peers', () => {
  it('are dialled, and dialled again when they come back', async () => {
    const far = await temporaryFolder()
    const first = await start(far)
    const [address = ''] = first.multiaddrs()
    const near = await start(await temporaryFolder(), { peers: [address] })
    await eventually(() => near.peers().includes(first.peerId))
    await first.stop()
    await eventually(() => near.peers().length === 0)
    const again = await start(far, { listen: [address.slice(0, address.indexOf('/p2p/'))] })
    expect(again.peerId).toBe(first.peerId)
    await eventually(() => near.peers().includes(first.peerId))
  }, 60_000)

  it('that are away are tried in the background, and hold up nothing', async () => {
    const { peerId } = await start(await temporaryFolder())
    const warnings: object[] = []
    const log = { ...silentLog, warn: (fields: object) => warnings.push(fields) }
    const ipfs = await start(await temporaryFolder(), { peers: [`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`] }, log)
    await eventually(() => warnings.length > 0)
    expect(ipfs.peers()).toEqual([])
    await ipfs.stop()
  })

  it('need a peer ID, or anyone could answer at that address', async () => {
    const folder = await temporaryFolder()
    for (const peer of ['/ip4/127.0.0.1/tcp/4001', 'nonsense', '/ip4/127.0.0.1/tcp/4001/p2p/nonsense']) {
      await expect(start(folder, { peers: [peer] })).rejects.toMatchObject({ setting: 'ipfs.peers' })
    }
  })

  it('are nobody by default: nothing is dialled', async () => {
    const ipfs = await start(await temporaryFolder())
    expect(ipfs.peers()).toEqual([])
  })
})

it('stops once, however often it is told to', async () => {
  const ipfs = await start(await temporaryFolder())
  await Promise.all([ipfs.stop(), ipfs.stop()])
  await ipfs.stop()
})
