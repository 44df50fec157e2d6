/** A node that serves data of schema 2 is killed while it adds what manifests name: nothing of it is ever collected. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, expect, test } from 'vitest'
import { remoteOperations } from '../../src/cli/remote-operations.ts'
import { SocketTransport } from '../../src/cli/socket-transport.ts'
import { findHolder } from '../../src/data-folder.ts'
import { keys } from '../../src/metadata/keys.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { Mutation } from '../../src/registry/ports.ts'
import { type Pinnace, startPinnace } from '../interop/node.ts'
import { openTemporaryRegistry, pushBlob } from '../registry/temporary-registry.ts'

/** Of manifests of a type that schema 2 did not know. */
const many = 8_000
/** Killed when so many are seen to: the position is written every thousand. */
const killAt = 1_000
const blobsNamed = 40

let node: Pinnace | undefined
let folder: string | undefined
afterEach(async () => {
  await node?.close()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** A few that name blobs which are here, among many that name what is not. */
async function schemaTwo(): Promise<{ folder: string; blobs: Digest[] }> {
  const { registry, metadata, folder, shut } = await openTemporaryRegistry()
  const blobs: Digest[] = []
  for (let at = 0; at < blobsNamed; at++) blobs.push(await pushBlob(registry, 'app', randomBytes(1_000)))
  await pushBlob(registry, 'app', Buffer.from('named by nobody'))
  const naming = [...blobs, ...Array.from({ length: many }, (_, at) => digestOf(Buffer.from(`absent ${at}`)))]
  for (let at = 0; at < naming.length; at += 1_000) {
    // As that version wrote them: without a reference.
    const batch = naming.slice(at, at + 1_000).flatMap((digest): Mutation[] => {
      const bytes = Buffer.from(JSON.stringify({ list: [{ digest }], filling: 'x'.repeat(1_500) }))
      const manifest = digestOf(bytes)
      const record = { mediaType: 'application/json', size: bytes.length, at: 0 }
      return [
        { type: 'putManifest', digest: manifest, bytes },
        { type: 'putRevision', repository: 'app', digest: manifest, record }
      ]
    })
    await metadata.commit(batch, [], { durable: false })
  }
  await shut()
  const level = new Level(join(folder, 'metadata'))
  await level.put(keys.schema, '2')
  await level.close()
  return { folder, blobs }
}

/** What the database of a node that is not running says of the upgrade. */
async function upgradeIn(folder: string): Promise<{ schema: string; position: unknown; references: number }> {
  const level = new Level(join(folder, 'metadata'))
  const [schema, position] = await level.getMany([keys.schema, keys.referenceUpgrade])
  const references = (await level.keys({ gt: 'refs\0', lt: 'refs\u0001' }).all()).length
  await level.close()
  return { schema: schema ?? '', position: position === undefined ? 'done' : JSON.parse(position), references }
}

/** Asks the node to collect garbage, and calls back with how many manifests it has read before it can. */
async function collectAt(data: string, onWait: (manifests: number) => void): Promise<'collected' | 'broke off'> {
  const socket = (await findHolder(data))?.controlSocket
  if (socket === undefined) throw new Error('the node has no socket')
  await using operations = await remoteOperations(new SocketTransport(socket))
  return await operations.collectGarbage({ onWait }).then(
    () => 'collected' as const,
    () => 'broke off' as const
  )
}

test('killed in the middle it goes on from there, and garbage collection waits all the while', async () => {
  const data = await schemaTwo()
  folder = data.folder
  const config = { log: { level: 'info' }, ipfs: { gc: { grace: '0s', interval: '50ms' } } } as const
  node = await startPinnace({ dataDir: folder, config })
  const running = node
  let killing: Promise<void> | undefined
  const ended = await collectAt(folder, manifests => {
    if (manifests >= killAt) killing ??= running.kill()
  })
  await killing
  expect(ended).toBe('broke off')
  expect(running.logs()).toContain('garbage collection waits')
  expect(running.logs()).not.toContain('garbage collected')

  const halfway = await upgradeIn(folder)
  expect(halfway).toMatchObject({ schema: '3', position: { after: { repository: 'app' } } })
  expect(halfway.references).toBeGreaterThanOrEqual(1_000)
  expect(halfway.references).toBeLessThan(many)

  await node.restart()
  // It serves meanwhile.
  const [first] = data.blobs
  expect((await fetch(`${node.url}/v2/app/blobs/${first}`)).status).toBe(200)
  const report = JSON.parse((await node.pinnace(['gc', '--json'], { timeout: 100_000 })).stdout)
  expect(report).toMatchObject({ manifests: 0 })
  for (const digest of data.blobs) {
    const response = await fetch(`${node.url}/v2/app/blobs/${digest}`)
    expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(digest)
  }
  const nobody = digestOf(Buffer.from('named by nobody'))
  expect((await fetch(`${node.url}/v2/app/blobs/${nobody}`)).status).toBe(404)
  await node.stop()
  expect(await upgradeIn(folder)).toEqual({ schema: '3', position: 'done', references: many + blobsNamed })
})
