import { createHash, randomBytes } from 'node:crypto'
import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CorruptBlock } from '../../src/ipfs/block-source.ts'
import { BlobBlockstore } from '../../src/ipfs/blockstore.ts'
import type { BlockHome } from '../../src/registry/ports.ts'
import { FileSource } from './file-source.ts'
import { temporaryFolder } from './temporary-folder.ts'

const MiB = 1024 * 1024

function rawCid(bytes: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(0x12, createHash('sha256').update(bytes).digest()))
}

async function subject() {
  const source = new FileSource()
  onTestFinished(() => source.close())
  const corrupt: CorruptBlock[] = []
  const store = new BlobBlockstore({ source, onCorrupt: found => corrupt.push(found) })
  const folder = await temporaryFolder()
  let files = 0
  const add = async (bytes: Uint8Array) => {
    const path = join(folder, String(files++))
    await writeFile(path, bytes)
    const member = await source.addFile(path)
    const home: BlockHome = `blob:${member.digest}`
    return { path, home, root: member.root }
  }
  const read = async (cid: CID): Promise<Buffer> => {
    const chunks: Uint8Array[] = []
    for await (const chunk of store.get(cid)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  return { source, store, corrupt, add, read }
}

describe('BlobBlockstore', () => {
  it('gives leaves from the file and inner nodes from the index', async () => {
    const { add, read, store } = await subject()
    const bytes = randomBytes(2 * MiB + 3)
    const { root } = await add(bytes)
    for (let at = 0; at < bytes.length; at += MiB) {
      const leaf = bytes.subarray(at, at + MiB)
      expect(await store.has(rawCid(leaf))).toBe(true)
      expect((await read(rawCid(leaf))).equals(leaf)).toBe(true)
    }
    const node = await read(root)
    expect(createHash('sha256').update(node).digest().equals(root.multihash.digest)).toBe(true)
  })

  it('gives the empty blob', async () => {
    const { add, read } = await subject()
    const { root } = await add(new Uint8Array())
    expect(await read(root)).toHaveLength(0)
  })

  it('does not care for the codec of a CID, only for its hash', async () => {
    const { add, read } = await subject()
    const { root } = await add(Buffer.from('same bytes'))
    expect((await read(CID.createV1(0x70, root.multihash))).toString()).toBe('same bytes')
  })

  it('answers has without reading a byte', async () => {
    const { add, store, source } = await subject()
    const bytes = randomBytes(MiB)
    await add(bytes)
    expect(await store.has(rawCid(bytes))).toBe(true)
    expect(source.reads).toBe(0)
  })

  it('says NotFoundError for what is not here, and for another hash function', async () => {
    const { read, store } = await subject()
    for (const cid of [rawCid(Buffer.from('absent')), CID.createV1(raw.code, createMultihash(0x13, randomBytes(64)))]) {
      expect(await store.has(cid)).toBe(false)
      await expect(read(cid)).rejects.toMatchObject({ name: 'NotFoundError' })
    }
  })

  it('answers for a private block exactly as for an absent one', async () => {
    const { add, read, store, source } = await subject()
    const { root, home } = await add(Buffer.from('private'))
    source.hidden.add(home)
    expect(await store.has(root)).toBe(false)
    const refusal = await read(root).catch((error: Error) => error)
    const absence = await read(rawCid(Buffer.from('absent'))).catch((error: Error) => error)
    expect(refusal).toMatchObject({ name: 'NotFoundError' })
    expect(refusal.constructor).toBe(absence.constructor)
    expect(source.reads).toBe(0)
  })

  it('serves a leaf that a private and a public blob share', async () => {
    const { add, read, source } = await subject()
    const shared = randomBytes(MiB)
    const secret = await add(Buffer.concat([shared, Buffer.from('secret')]))
    await add(Buffer.concat([shared, Buffer.from('open')]))
    source.hidden.add(secret.home)
    expect((await read(rawCid(shared))).equals(shared)).toBe(true)
    await expect(read(rawCid(Buffer.from('secret')))).rejects.toMatchObject({ name: 'NotFoundError' })
  })

  it('refuses a leaf that rotted, says where, and takes it from another home', async () => {
    const { add, read, corrupt } = await subject()
    const shared = randomBytes(MiB)
    const first = await add(Buffer.concat([shared, Buffer.from('1')]))
    await flip(first.path, 1000)
    await expect(read(rawCid(shared))).rejects.toMatchObject({ name: 'NotFoundError' })
    expect(corrupt.map(({ home }) => home)).toEqual([first.home])

    await add(Buffer.concat([shared, Buffer.from('2')]))
    expect((await read(rawCid(shared))).equals(shared)).toBe(true)
    expect(corrupt.map(({ home }) => home)).toEqual([first.home, first.home])
  })

  it('refuses a leaf of a file that was cut short', async () => {
    const { add, read, corrupt } = await subject()
    const bytes = randomBytes(MiB)
    const { path, home, root } = await add(bytes)
    await truncate(path, 1000)
    await expect(read(root)).rejects.toMatchObject({ name: 'NotFoundError' })
    expect(corrupt).toMatchObject([{ home, place: { kind: 'range', offset: 0, length: MiB } }])
  })

  it('refuses an inner node that rotted', async () => {
    const { source, read, corrupt } = await subject()
    const cid = rawCid(Buffer.from('node'))
    const bytes = Buffer.from('knot')
    source.put(`image:sha256:${'0'.repeat(64)}`, [
      { multihash: cid.multihash.bytes, place: { kind: 'node', length: bytes.length }, bytes }
    ])
    await expect(read(cid)).rejects.toMatchObject({ name: 'NotFoundError' })
    expect(corrupt).toHaveLength(1)
  })

  it('gives an I/O error as it is, not as an absence', async () => {
    const { add, read, source } = await subject()
    const { root } = await add(Buffer.from('on a closed file'))
    await source.closeHandles()
    await expect(read(root)).rejects.toMatchObject({ code: 'EBADF' })
  })

  it('knows identity CIDs', async () => {
    const { read, store } = await subject()
    const cid = CID.createV1(raw.code, identity.digest(Buffer.from('inline')))
    expect(await store.has(cid)).toBe(true)
    expect((await read(cid)).toString()).toBe('inline')
  })

  it('knows the file of every image without looking for one that has it', async () => {
    const { store, source, read } = await subject()
    const asked = vi.spyOn(source, 'blockHomes')
    const layout = Buffer.from('{"imageLayoutVersion":"1.0.0"}')
    expect(await store.has(rawCid(layout))).toBe(true)
    expect(await read(rawCid(layout))).toEqual(layout)
    expect(asked).not.toHaveBeenCalled()
  })

  it('refuses to be written, emptied or listed', async () => {
    const { store } = await subject()
    const cid = rawCid(Buffer.from('x'))
    const drain = async (all: AsyncIterable<unknown>) => {
      for await (const _ of all);
    }
    await expect(store.put(cid)).rejects.toMatchObject({ name: 'ReadOnlyBlockstoreError' })
    await expect(store.delete(cid)).rejects.toMatchObject({ name: 'ReadOnlyBlockstoreError' })
    await expect(drain(store.putMany())).rejects.toMatchObject({ name: 'ReadOnlyBlockstoreError' })
    await expect(drain(store.deleteMany())).rejects.toMatchObject({ name: 'ReadOnlyBlockstoreError' })
    await expect(drain(store.getAll())).rejects.toMatchObject({ name: 'ReadOnlyBlockstoreError' })
  })

  it('ends with the signal', async () => {
    const { add, store } = await subject()
    const { root } = await add(Buffer.from('late'))
    const signal = AbortSignal.abort(new Error('hung up'))
    await expect(store.has(root, { signal })).rejects.toThrow('hung up')
    await expect(store.get(root, { signal }).next()).rejects.toThrow('hung up')
  })
})

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset)
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, offset)
  await file.close()
}
