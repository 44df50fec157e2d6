import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Kubo, startKubo } from './kubo.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushBlob, pushBytes, sha256OfFile } from './push.ts'
import { slowLink } from './slow-link.ts'
import { describeWithTools } from './tools.ts'

const MiB = 1024 * 1024

/** A file whose 1 MiB chunks all differ, made faster than random bytes. */
async function makeFile(path: string, size: number): Promise<void> {
  const chunk = randomBytes(MiB)
  const chunks = function* () {
    for (let at = 0; at < size; at += MiB) {
      chunk.writeUInt32LE(at / MiB)
      yield Buffer.from(chunk.subarray(0, size - at))
    }
  }
  await pipeline(Readable.from(chunks()), createWriteStream(path))
}

describeWithTools(['ipfs'], 'Kubo reads from a node', () => {
  let folder: string
  let node: Pinnace
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-kubo-test-'))
    ;[node, kubo] = await Promise.all([startPinnace(), startKubo()])
    const [address = ''] = (await node.id()).multiaddrs
    await kubo.connect(address)
  })

  afterAll(async () => {
    await Promise.all([node?.close(), kubo?.close()])
    await rm(folder, { recursive: true, force: true })
  })

  const pushFile = async (path: string, size: number) => {
    const digest = await sha256OfFile(path)
    return { digest, cid: await pushBlob(node.url, 'blobs', { digest, size, body: () => createReadStream(path) }) }
  }

  const cat = async (cid: string, from = kubo): Promise<string> => {
    const target = join(folder, `cat-${cid}`)
    await from.ipfs(['cat', cid], { output: createWriteStream(target), timeout: 240_000 })
    const digest = await sha256OfFile(target)
    await rm(target)
    return digest
  }

  for (const size of [0, 1, MiB - 1, MiB, MiB + 1, 300 * MiB, 1025 * MiB]) {
    it(`a blob of ${size} bytes, byte for byte, by the CID that Kubo computes`, async () => {
      const path = join(folder, `blob-${size}`)
      await makeFile(path, size)
      const { digest, cid } = await pushFile(path, size)
      expect(cid).toBe(await kubo.addOnlyHash(path))
      expect(await cat(cid)).toBe(digest)
      await rm(path)
    }, 400_000)
  }

  it('two blobs with 25 s of silence between them', async () => {
    for (const silence of [0, 25_000]) {
      await delay(silence)
      const bytes = randomBytes(2 * MiB)
      const cid = await pushBytes(node.url, 'blobs', bytes)
      expect((await kubo.cat(cid, { timeout: 20_000 })).equals(bytes)).toBe(true)
    }
  })

  it('20 blobs wanted at once, none of them late', async () => {
    const blobs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const path = join(folder, `many-${index}`)
        await makeFile(path, 20 * MiB)
        return await pushFile(path, 20 * MiB)
      })
    )
    // Kubo repeats a want that nobody answered after 30 s.
    const digests = await Promise.all(blobs.map(({ cid }) => cat(cid)))
    expect(digests).toEqual(blobs.map(({ digest }) => digest))
  })

  it('a blob read slowly', async () => {
    const bytes = randomBytes(48 * MiB)
    const cid = await pushBytes(node.url, 'blobs', bytes)
    const got: Buffer[] = []
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        got.push(chunk)
        void delay((chunk.byteLength / (4 * MiB)) * 1000).then(() => done())
      }
    })
    await kubo.ipfs(['cat', cid], { output })
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
  })

  it('a blob over a slow link', async () => {
    const far = await startKubo()
    const { peerId, multiaddrs } = await node.id()
    const link = await slowLink(Number(/\/tcp\/(\d+)/.exec(multiaddrs[0] ?? '')?.[1]), MiB)
    try {
      await far.connect(`/ip4/127.0.0.1/tcp/${link.port}/p2p/${peerId}`)
      const bytes = randomBytes(25 * MiB)
      const cid = await pushBytes(node.url, 'blobs', bytes)
      expect((await far.cat(cid, { maxOutput: 64 * MiB })).equals(bytes)).toBe(true)
    } finally {
      link.close()
      await far.close()
    }
  })

  it('a blob that is pushed after Kubo asked for it', async () => {
    const bytes = randomBytes(MiB + 5)
    const path = join(folder, 'later')
    await writeFile(path, bytes)
    const asked = kubo.cat(await kubo.addOnlyHash(path), { timeout: 100_000 })
    await delay(1000)
    await pushBytes(node.url, 'blobs', bytes)
    expect((await asked).equals(bytes)).toBe(true)
  })

  it('nothing that was deleted', async () => {
    const bytes = randomBytes(1000)
    const cid = await pushBytes(node.url, 'deleted', bytes)
    const digest = await cat(await pushBytes(node.url, 'deleted', randomBytes(1000)))
    expect(digest).toMatch(/^sha256:/)
    const { status } = await fetch(
      `${node.url}/v2/deleted/blobs/sha256:${Buffer.from(CID.parse(cid).multihash.digest).toString('hex')}`,
      { method: 'DELETE' }
    )
    expect(status).toBe(202)
    await expect(kubo.ipfs(['block', 'get', '--timeout=5s', cid])).rejects.toThrow(/deadline|not found/)
  })

  it('from a node that dialled it, as ipfs.peers says', async () => {
    const [address = ''] = kubo.multiaddrs
    const caller = await startPinnace({ config: { ipfs: { peers: [address] } } })
    try {
      const { peerId } = await caller.id()
      while (!(await kubo.ipfs(['swarm', 'peers'])).stdout.includes(peerId)) await delay(100)
      const bytes = randomBytes(2 * MiB)
      expect((await kubo.cat(await pushBytes(caller.url, 'blobs', bytes))).equals(bytes)).toBe(true)
    } finally {
      await caller.close()
    }
  })
})
