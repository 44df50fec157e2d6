import { randomBytes } from 'node:crypto'
import { readdir, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CorruptBlock } from '../../src/ipfs/block-source.ts'
import { type Ipfs, startIpfs } from '../../src/ipfs/ipfs.ts'
import { OpenFiles } from '../../src/ipfs/thread/open-files.ts'
import type { BlockHome, Log } from '../../src/registry/ports.ts'
import { BitswapProbe } from './bitswap-probe.ts'
import { FileSource } from './file-source.ts'
import { rawCid } from './serving.ts'
import { silentLog } from './silent-log.ts'
import { temporaryFolder } from './temporary-folder.ts'

const MiB = 1024 * 1024

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

async function serving(log: Log = silentLog) {
  const folder = await temporaryFolder()
  const source = new FileSource({ paths: true })
  const corrupt: CorruptBlock[] = []
  const components = { source, log, onCorrupt: (found: CorruptBlock) => corrupt.push(found) }
  const ipfs: Ipfs = await startIpfs(components, { folder: join(folder, 'ipfs'), listen: ['/ip4/127.0.0.1/tcp/0'] })
  onTestFinished(async () => {
    await ipfs.stop()
    await source.close()
  })
  return { folder, source, corrupt, ipfs, address: ipfs.multiaddrs()[0] ?? '' }
}

describe('the thread', () => {
  it('reads files by itself', async () => {
    const { folder, source, address } = await serving()
    const bytes = randomBytes(MiB)
    await writeFile(join(folder, 'blob'), bytes)
    const { root } = await source.addFile(join(folder, 'blob'))
    const probe = await BitswapProbe.connect(address)
    expect(await probe.ask([{ cid: root }])).toEqual([{ block: bytes }])
    expect(source.reads).toBe(0)
  })

  it('asks for every block anew whether it may be served', async () => {
    const { folder, source, address } = await serving()
    await writeFile(join(folder, 'blob'), 'now you see it')
    const { root, digest } = await source.addFile(join(folder, 'blob'))
    const probe = await BitswapProbe.connect(address)
    expect(await probe.ask([{ cid: root }])).toEqual([{ block: Buffer.from('now you see it') }])
    source.hidden.add(`blob:${digest}`)
    expect(await probe.ask([{ cid: root }])).toEqual([{ cid: root.toString(), have: false }])
  })

  it('reports rot to the main thread, and reads the file that is put in its place', async () => {
    const { folder, source, corrupt, address } = await serving()
    const bytes = randomBytes(2000)
    const path = join(folder, 'blob')
    await writeFile(path, bytes)
    const { root, digest } = await source.addFile(path)
    await writeFile(path, randomBytes(2000))
    const probe = await BitswapProbe.connect(address)
    expect(await probe.ask([{ cid: root }])).toEqual([{ cid: root.toString(), have: false }])
    await eventually(() => corrupt.length > 0)
    expect(corrupt).toMatchObject([{ home: `blob:${digest}`, place: { kind: 'range', offset: 0, length: 2000 } }])

    await writeFile(join(folder, 'mended'), bytes)
    await rename(join(folder, 'mended'), path)
    expect(await probe.ask([{ cid: root }])).toEqual([{ block: bytes }])
  })

  it('looks for no more homes of a block than it needs, and for all of them when it needs them', async () => {
    const { folder, source, corrupt, address } = await serving()
    const shared = randomBytes(MiB)
    const paths = Array.from({ length: 8 }, (_, index) => join(folder, `blob-${index}`))
    for (const path of paths) {
      await writeFile(path, Buffer.concat([shared, randomBytes(10)]))
      await source.addFile(path)
    }
    const asked = vi.spyOn(source, 'mayServe')
    const probe = await BitswapProbe.connect(address)
    const whole = async (): Promise<boolean> => {
      const [told] = await probe.ask([{ cid: rawCid(shared) }])
      return told !== undefined && 'block' in told && told.block.equals(shared)
    }
    expect(await whole()).toBe(true)
    expect(asked.mock.calls.length).toBeLessThan(4)
    for (const path of paths.slice(0, 7)) await writeFile(path, randomBytes(MiB + 10))
    expect(await whole()).toBe(true)
    await eventually(() => corrupt.length === 7)
  })

  it('is started again when it dies, as the same peer', async () => {
    const errors: string[] = []
    const { ipfs } = await serving({ ...silentLog, error: (_fields, message) => errors.push(message) })
    const { peerId } = ipfs
    // Nothing the types allow kills it.
    ipfs.announce(Object.create(CID.prototype, { bytes: { value: Uint8Array.of(1) } }))
    await eventually(() => ipfs.multiaddrs().length === 0)
    expect(errors).toEqual(['the IPFS thread crashed'])
    await eventually(() => ipfs.multiaddrs().length === 1)
    expect(ipfs.peerId).toBe(peerId)
    await BitswapProbe.connect(ipfs.multiaddrs()[0] ?? '')
  })
})

describe('OpenFiles', () => {
  const home = (name: string): BlockHome => `blob:sha256:${name}`

  async function subject(count: number) {
    const folder = await temporaryFolder()
    const names = Array.from({ length: count }, (_, index) => String(index))
    for (const name of names) await writeFile(join(folder, name), `file ${name}`)
    const asked: BlockHome[] = []
    const files = new OpenFiles<BlockHome>(async key => {
      asked.push(key)
      return join(folder, key.slice(home('').length))
    })
    onTestFinished(() => files.close())
    const open = async (): Promise<number> => {
      const links = await Promise.all(
        (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
      )
      return links.filter(link => link.startsWith(folder)).length
    }
    return { folder, names, asked, files, open }
  }

  it('opens a file once for many readers', async () => {
    const { asked, files } = await subject(1)
    const parts = await Promise.all([0, 1, 2, 3, 4, 5].map(at => files.read(home('0'), at, 1)))
    expect(Buffer.concat(parts.map(part => part ?? Buffer.alloc(0))).toString()).toBe('file 0')
    expect(asked).toHaveLength(1)
  })

  it('gives fewer bytes at the end, and none of a file that is not there', async () => {
    const { folder, files } = await subject(1)
    expect(Buffer.from((await files.read(home('0'), 5, 100)) ?? []).toString()).toBe('0')
    await rm(join(folder, '0'))
    expect(await files.read(home('none'), 0, 1)).toBeUndefined()
  })

  it('opens anew what was forgotten', async () => {
    const { folder, files } = await subject(1)
    await files.read(home('0'), 0, 1)
    await writeFile(join(folder, 'new'), 'another')
    await rename(join(folder, 'new'), join(folder, '0'))
    expect(Buffer.from((await files.read(home('0'), 0, 7)) ?? []).toString()).toBe('file 0')
    files.forget(home('0'))
    expect(Buffer.from((await files.read(home('0'), 0, 7)) ?? []).toString()).toBe('another')
  })

  it.runIf(process.platform === 'linux')('keeps 32 open at most', async () => {
    const { names, files, open } = await subject(50)
    for (const name of names) await files.read(home(name), 0, 1)
    while ((await open()) > 32) await new Promise(setImmediate)
    expect(await open()).toBe(32)
    files.close()
    while ((await open()) > 0) await new Promise(setImmediate)
  })
})
