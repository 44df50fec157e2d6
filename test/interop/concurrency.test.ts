import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { blobsOnDisk } from './blobs-on-disk.ts'
import { blobDigests, digestOf, imageOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import {
  ask,
  expectAsk,
  getVerified,
  locationOf,
  openUpload,
  postBlob,
  pushImage,
  validateImage
} from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

const anything = { Accept: '*/*' }
const octets = { 'Content-Type': 'application/octet-stream' }
const mebibyte = 1024 * 1024

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
const layer = (bytes: number): Buffer => tarOf({ random: randomBytes(bytes) })

describeWithTools(['crane'], 'fifty pushes at once', () => {
  let folder: string
  let node: Pinnace
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-fifty-test-'))
    node = await startPinnace()
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('keeps each, and one copy of what they share', async () => {
    const base = layer(2 * mebibyte)
    const shared = times(5, () => layer(300_000))
    const images = times(50, n => imageOf([base, shared[n % 5] ?? base, layer(50_000)]))
    const where = (n: number): string => `team-${n % 7}/app`
    await Promise.all(images.map((image, n) => pushImage(node.url, where(n), `v${n}`, image)))
    await Promise.all(images.map((image, n) => validateImage(node.url, where(n), `v${n}`, image)))
    expect(await blobsOnDisk(node.dataDir)).toEqual(expect.arrayContaining(blobDigests(images)))
    expect(await readdir(join(node.dataDir, 'uploads'))).toEqual([])
    const report = JSON.parse((await node.pinnace(['gc', '--json'])).stdout)
    expect(report).toMatchObject({ blobs: 0, manifests: 0, links: 0 })
  })

  it('serves ten crane processes that push and validate', async () => {
    const base = layer(mebibyte)
    const images = times(10, () => imageOf([base, layer(100_000)]))
    await Promise.all(
      images.map(async (image, n) => {
        await writeLayout(join(folder, `${n}`), { v1: image })
        await runTool('crane', ['push', join(folder, `${n}`), `${node.host}/crane/app:v${n}`])
        await runTool('crane', ['validate', '--remote', `${node.host}/crane/app:v${n}`])
      })
    )
    await Promise.all(images.map((image, n) => validateImage(node.url, 'crane/app', `v${n}`, image)))
  })
})

describe('requests that meet', () => {
  let node: Pinnace
  beforeAll(async () => {
    node = await startPinnace()
  })
  afterAll(async () => {
    await node?.close()
  })
  afterEach(async () => {
    expect((await ask(node.url, '')).status).toBe(200)
    expect(await readdir(join(node.dataDir, 'uploads'))).toEqual([])
  })

  it('takes one blob from many at once, into one repository and several', async () => {
    for (const size of [1, 5 * mebibyte + 17]) {
      const bytes = randomBytes(size)
      const digest = digestOf(bytes)
      const repositories = ['same', 'same', 'same', 'other', 'third']
      expect(await Promise.all(repositories.map(name => postBlob(node.url, name, bytes)))).toEqual(times(5, () => 201))
      for (const name of new Set(repositories)) await getVerified(node.url, `${name}/blobs/${digest}`, digest)
    }
  })

  it('keeps a blob from a push that lies about its digest', async () => {
    const bytes = randomBytes(3 * mebibyte)
    const lie = Buffer.from(bytes)
    lie.writeUInt8(lie.readUInt8(2 * mebibyte) ^ 1, 2 * mebibyte)
    const digest = digestOf(bytes)
    const pushes = [lie, bytes, lie, bytes].map(body => postBlob(node.url, 'liar', body, digest))
    expect(await Promise.all(pushes)).toEqual([400, 201, 400, 201])
    await getVerified(node.url, `liar/blobs/${digest}`, digest)
  })

  it('lets one of two chunks at one offset in', async () => {
    for (let round = 0; round < 10; round++) {
      const location = await openUpload(node.url, 'patch')
      const chunks = times(2, () => randomBytes(300_000 + round * 100_000))
      const answers = await Promise.all(
        chunks.map(async chunk => {
          const headers = { ...octets, 'Content-Range': `0-${chunk.length - 1}` }
          return await fetch(location, { method: 'PATCH', headers, body: new Uint8Array(chunk) })
        })
      )
      expect(answers.map(({ status }) => status).sort()).toEqual([202, 416])
      const winner = answers.findIndex(({ status }) => status === 202)
      const [chunk, answer] = [chunks[winner], answers[winner]]
      if (chunk === undefined || answer === undefined) throw new Error('no winner')
      expect(answer.headers.get('range')).toBe(`0-${chunk.length - 1}`)
      const put = new URL(locationOf(answer, node.url))
      put.searchParams.set('digest', digestOf(chunk))
      expect((await fetch(put, { method: 'PUT' })).status).toBe(201)
      await getVerified(node.url, `patch/blobs/${digestOf(chunk)}`, digestOf(chunk))
    }
  })

  it('appends two streams one after the other, never mixed', async () => {
    for (let round = 0; round < 5; round++) {
      // Without an offset in the URL each goes behind what is there.
      const location = (await openUpload(node.url, 'streams')).replace(/\/0$/, '')
      const bodies = [randomBytes(700_000), randomBytes(900_000)]
      const answers = await Promise.all(
        bodies.map(body => fetch(location, { method: 'PATCH', headers: octets, body: new Uint8Array(body) }))
      )
      expect(answers.map(({ status }) => status)).toEqual([202, 202])
      // Whoever was first saw the session end with its own bytes.
      const first = answers.findIndex(({ headers }, n) => headers.get('range') === `0-${(bodies[n]?.length ?? 0) - 1}`)
      const whole = Buffer.concat(first === 0 ? bodies : bodies.toReversed())
      const put = new URL(location)
      put.searchParams.set('digest', digestOf(whole))
      expect((await fetch(put, { method: 'PUT' })).status).toBe(201)
      await getVerified(node.url, `streams/blobs/${digestOf(whole)}`, digestOf(whole))
    }
  })

  it('finishes an upload once, and says so to each who asks', async () => {
    const bytes = randomBytes(2 * mebibyte)
    const location = await openUpload(node.url, 'finish')
    await fetch(location, { method: 'PATCH', headers: octets, body: new Uint8Array(bytes) })
    const put = new URL(location)
    put.searchParams.set('digest', digestOf(bytes))
    const answers = await Promise.all(times(4, () => fetch(put, { method: 'PUT' })))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    await getVerified(node.url, `finish/blobs/${digestOf(bytes)}`, digestOf(bytes))
  })

  it('cancels an upload or takes its bytes, never half', async () => {
    for (let round = 0; round < 10; round++) {
      const bytes = randomBytes(mebibyte)
      const location = await openUpload(node.url, 'cancel')
      await fetch(location, { method: 'PATCH', headers: octets, body: new Uint8Array(bytes) })
      const put = new URL(location)
      put.searchParams.set('digest', digestOf(bytes))
      const [finished, cancelled] = await Promise.all([
        fetch(put, { method: 'PUT' }),
        fetch(location, { method: 'DELETE' })
      ])
      expect([`${finished.status} ${cancelled.status}`]).toEqual([expect.stringMatching(/^(201 404|404 204)$/)])
      const head = await ask(node.url, `cancel/blobs/${digestOf(bytes)}`, { method: 'HEAD' })
      expect(head.status).toBe(finished.status === 201 ? 200 : 404)
    }
  })

  it('lets one of many win that all replace the same manifest', async () => {
    const first = imageOf([layer(1000)])
    await pushImage(node.url, 'race', 'v1', first)
    const images = times(8, () => imageOf([layer(1000)]))
    for (const image of images) await pushImage(node.url, 'race', image.descriptor.digest, image)
    const answers = await Promise.all(
      images.map(image =>
        ask(node.url, 'race/manifests/v1', {
          method: 'PUT',
          headers: { 'Content-Type': image.descriptor.mediaType, 'If-Match': `"${first.descriptor.digest}"` },
          body: new Uint8Array(image.bytes)
        })
      )
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...times(7, () => 412)])
    const winner = images[answers.findIndex(({ status }) => status === 201)]
    const head = await ask(node.url, 'race/manifests/v1', { method: 'HEAD', headers: anything })
    expect(head.headers.get('docker-content-digest')).toBe(winner?.descriptor.digest)
  })

  it('moves a tag from many hands to one of theirs', async () => {
    const images = times(20, () => imageOf([layer(1000)]))
    await Promise.all(images.map(image => pushImage(node.url, 'tag', 'latest', image)))
    const head = await ask(node.url, 'tag/manifests/latest', { method: 'HEAD', headers: anything })
    const last = images.find(image => image.descriptor.digest === head.headers.get('docker-content-digest'))
    if (last === undefined) throw new Error('the tag leads to none of them')
    await validateImage(node.url, 'tag', 'latest', last)
    await Promise.all(images.map(image => validateImage(node.url, 'tag', image.descriptor.digest, image)))
  })

  it('pulls whole or is cut while the blob is deleted', async () => {
    const outcomes: string[] = []
    for (let round = 0; round < 12; round++) {
      const bytes = randomBytes(16 * mebibyte)
      const digest = digestOf(bytes)
      expect(await postBlob(node.url, 'pull', bytes)).toBe(201)
      const pull = await expectAsk(node.url, `pull/blobs/${digest}`, 200)
      const hash = createHash('sha256')
      let received = 0
      let deletion: Promise<Response> | undefined
      const outcome = await (async () => {
        for await (const chunk of pull.body ?? []) {
          hash.update(chunk)
          received += chunk.length
          if (received > round * mebibyte) deletion ??= ask(node.url, `pull/blobs/${digest}`, { method: 'DELETE' })
        }
        return `sha256:${hash.digest('hex')}` === digest ? 'whole' : 'corrupt'
      })().catch(() => 'cut')
      outcomes.push(outcome)
      expect((await deletion)?.status).toBe(202)
      expect((await ask(node.url, `pull/blobs/${digest}`)).status).toBe(404)
    }
    expect(outcomes).not.toContain('corrupt')
  })

  it('has a blob or has it not when a push and a deletion meet', async () => {
    const bytes = randomBytes(mebibyte + 1)
    const digest = digestOf(bytes)
    for (let round = 0; round < 15; round++) {
      const [pushed, deleted] = await Promise.all([
        postBlob(node.url, 'meet', bytes),
        ask(node.url, `meet/blobs/${digest}`, { method: 'DELETE' })
      ])
      expect(pushed).toBe(201)
      expect([202, 404]).toContain(deleted.status)
      const head = await ask(node.url, `meet/blobs/${digest}`, { method: 'HEAD' })
      if (head.status === 200) await getVerified(node.url, `meet/blobs/${digest}`, digest)
      else expect(head.status).toBe(404)
      // A deletion that found nothing came before the push.
      if (deleted.status === 404) expect(head.status).toBe(200)
    }
  })
})
