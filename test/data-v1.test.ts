/** A data folder that version 0.1.0 wrote (`scripts/make-data-fixture.ts`): every later version starts on it. */
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { Level } from 'level'
import { unpackTar } from 'modern-tar/fs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { DataFixture } from '../scripts/make-data-fixture.ts'
import { schemaVersion } from '../src/metadata/migrate.ts'
import { digestOf } from '../src/oci/digest.ts'
import { layoutVersion } from '../src/storage/layout.ts'
import { type Pinnace, startPinnace } from './interop/node.ts'

const fixture = fileURLToPath(new URL('fixtures/data-v1', import.meta.url))
const expected: DataFixture = JSON.parse(await readFile(join(fixture, 'expected.json'), 'utf8'))

/** A copy of the folder, as it was when its node was stopped. */
async function unpack(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-data-v1-'))
  // Not the program tar, so that this runs on a machine that has nothing but Node.
  await pipeline(createReadStream(join(fixture, 'data.tar.gz')), createGunzip(), unpackTar(folder))
  return folder
}

describe('on the data of version 0.1.0', () => {
  let folder: string
  let node: Pinnace
  beforeAll(async () => {
    folder = await unpack()
    // The fixture is older every day, and so are its upload and its blobs that no manifest needs.
    const config = {
      storage: { maintenance: { uploadpurging: { enabled: false } } },
      ipfs: { gc: { grace: '2000000h' } }
    }
    node = await startPinnace({ dataDir: folder, config })
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const ask = (path: string, init: RequestInit = {}) => fetch(new URL(path, node.url), init)
  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

  it('is the same peer', async () => {
    expect((await node.id()).peerId).toBe(expected.peerId)
  })

  it.each(expected.blobs)(
    '$repository has the blob $digest, under the same CID',
    async ({ repository, digest, size, path }) => {
      const response = await ask(`/v2/${repository}/blobs/${digest}`)
      expect(response.status).toBe(200)
      expect(response.headers.get('x-ipfs-path')).toBe(path)
      const bytes = await bytesOf(response)
      expect(bytes.length).toBe(size)
      expect(digestOf(bytes, digest.startsWith('sha512:') ? 'sha512' : 'sha256')).toBe(digest)
    }
  )

  it.each(expected.manifests)('$repository has $digest with its type, tags and image CID', async manifest => {
    const { repository, digest, mediaType, path, tags } = manifest
    for (const reference of [digest, ...tags]) {
      const response = await ask(`/v2/${repository}/manifests/${reference}`)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe(mediaType)
      expect(response.headers.get('x-ipfs-path')).toBe(path)
      expect(digestOf(await bytesOf(response))).toBe(digest)
    }
  })

  it('has no other repository and no other tag, and what was deleted stays deleted', async () => {
    const catalog = await (await ask('/v2/_catalog')).json()
    const repositories = [...new Set(expected.blobs.map(blob => blob.repository))].sort()
    expect(catalog).toEqual({ repositories })
    for (const name of repositories) {
      const tags = expected.manifests.flatMap(manifest => (manifest.repository === name ? manifest.tags : []))
      expect(await (await ask(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: tags.sort() })
    }
    expect((await ask('/v2/library/app/manifests/latest')).status).toBe(404)
    const gone = digestOf(Buffer.from('Deleted before the folder was closed.\n'))
    expect((await ask(`/v2/library/app/blobs/${gone}`)).status).toBe(404)
  })

  it.each(expected.referrers)('lists the referrers of $subject', async ({ repository, subject, digests }) => {
    const index = await (await ask(`/v2/${repository}/referrers/${subject}`)).json()
    expect(index).toMatchObject({ manifests: digests.map(digest => ({ digest })) })
  })

  it('resumes the upload that was under way', async () => {
    const { location, received, size, digest } = expected.session
    const status = await ask(location)
    expect(status.status).toBe(204)
    expect(status.headers.get('range')).toBe(`0-${received - 1}`)
    const rest = {
      method: 'PATCH',
      headers: { 'Content-Range': `${received}-${size - 1}` },
      body: new Uint8Array(size - received)
    }
    expect((await ask(location, rest)).status).toBe(202)
    expect((await ask(`${location}?digest=${digest}`, { method: 'PUT' })).status).toBe(201)
    const bytes = await bytesOf(await ask(`/v2/library/app/blobs/${digest}`))
    expect(digestOf(bytes)).toBe(digest)
  })

  it('scrubs clean, and garbage collection takes only what was deleted', async () => {
    // Ends with 5 if there is damage, which rejects.
    await node.pinnace(['scrub'])
    await node.pinnace(['gc'])
    await node.pinnace(['scrub'])
    for (const { repository, digest } of expected.blobs) {
      expect((await ask(`/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200)
    }
  })

  it('takes a push, and has it and the rest after a restart', async () => {
    const bytes = Buffer.from('pushed by a later version')
    const digest = digestOf(bytes)
    const path = `/v2/library/app/blobs/uploads/?digest=${digest}`
    expect((await ask(path, { method: 'POST', body: bytes })).status).toBe(201)
    await node.restart()
    expect((await node.id()).peerId).toBe(expected.peerId)
    for (const each of [
      digest,
      ...expected.blobs.flatMap(blob => (blob.repository === 'library/app' ? blob.digest : []))
    ]) {
      expect((await ask(`/v2/library/app/blobs/${each}`, { method: 'HEAD' })).status).toBe(200)
    }
  })
})

describe('data of a newer version is refused, naming both, and left as it is', () => {
  /** Starts a node on it and gives what it said when it ended. */
  async function refusal(folder: string): Promise<string> {
    const outcome = await startPinnace({ dataDir: folder }).then(
      async node => {
        await node.close()
        return 'it started'
      },
      (error: unknown) => String(error)
    )
    expect(outcome).toContain('ended with 1 before it was ready')
    return outcome
  }

  async function unpackFor(): Promise<string> {
    const folder = await unpack()
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    return folder
  }

  it('by its storage layout', async () => {
    const folder = await unpackFor()
    const newer = layoutVersion + 1
    await writeFile(join(folder, 'layout'), `${newer}\n`)
    expect(await refusal(folder)).toMatch(new RegExp(`layout ${newer}\\b.* ${layoutVersion}\\b.*newer`))
    expect(await readFile(join(folder, 'layout'), 'utf8')).toBe(`${newer}\n`)
  })

  it('by its metadata schema', async () => {
    const folder = await unpackFor()
    const key = 'meta\0schema'
    const newer = String(schemaVersion + 1)
    const path = join(folder, 'metadata')
    const level = new Level(path)
    expect(await level.get(key)).toBe(String(expected.schema))
    await level.put(key, newer)
    await level.close()
    expect(await refusal(folder)).toMatch(new RegExp(`schema ${newer}\\b.* ${schemaVersion}\\b.*newer`))
    const after = new Level(path)
    expect(await after.get(key)).toBe(newer)
    await after.close()
  })
})
