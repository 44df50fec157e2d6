import { MemoryLevel } from 'memory-level'
import { CID } from 'multiformats/cid'
import { expect, it } from 'vitest'
import { schemaVersion } from '../../src/metadata/migrate.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'
import type { Digest } from '../../src/oci/digest.ts'

const a: Digest = `sha256:${'a'.repeat(64)}`
const b: Digest = `sha512:${'b'.repeat(128)}`
const root = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const multihash = (byte: number): Uint8Array => Uint8Array.from([0x12, 0x20, ...new Array<number>(32).fill(byte)])
const [leaf, inner] = [`1220${'11'.repeat(32)}`, `1220${'22'.repeat(32)}`]

/**
 * Data folders in the world hold exactly this. When the test fails, the schema number must rise and a migration from
 * this form must come with it.
 */
it('keys and values of schema 3 are these', async () => {
  const level = new MemoryLevel<string, string>()
  const store = new LevelMetadata({ level })
  await store.open()
  await store.commit([
    { type: 'putBlob', digest: a, record: { size: 5, root, dagSize: 6 }, uploadId: 'id' },
    { type: 'deleteBlob', digest: b },
    {
      type: 'putBlocks',
      home: `blob:${a}`,
      blocks: [
        { multihash: multihash(0x11), place: { kind: 'range', offset: 1048576, length: 77 } },
        { multihash: multihash(0x22), place: { kind: 'node', length: 4 }, bytes: Buffer.from('node') }
      ]
    },
    { type: 'putLink', repository: 'lib/app', digest: a, record: { at: 1 } },
    { type: 'putManifest', digest: b, bytes: Buffer.from('{ }') },
    { type: 'putRevision', repository: 'lib/app', digest: b, record: { mediaType: 'm/t', size: 3, at: 2 } },
    { type: 'putTag', repository: 'lib/app', tag: 'v1', record: { digest: b, at: 3 } },
    { type: 'putReference', repository: 'lib/app', child: a, parent: b },
    {
      type: 'putReferrer',
      repository: 'lib/app',
      subject: a,
      descriptor: { mediaType: 'm/t', digest: b, size: 3, artifactType: 'x/y', annotations: { k: 'v' } }
    },
    { type: 'putImage', digest: b, record: { root, dagSize: 9 } },
    { type: 'putReferenceUpgrade', record: { after: { repository: 'lib/app', digest: a } } },
    { type: 'putUpload', id: 'id', record: { repository: 'lib/app', algorithm: 'sha512', startedAt: 4 } },
    {
      type: 'putLoss',
      kind: 'manifest',
      digest: b,
      record: { problem: 'corrupt', at: 8, foundBy: 'scrub', quarantined: 'name' }
    }
  ])
  const grants = [{ repositories: 'lib/**', actions: ['pull'] as const }]
  await store.tokens.put({ id: 'Id', name: 'ci', kind: 'access', hash: 'ab', grants, createdAt: 5, expiresAt: 6 })
  const user = { name: 'ann', credential: 'cd' }
  await store.tokens.put({ id: 'Is', name: 'ann', kind: 'refresh', hash: 'ef', grants: [], user, createdAt: 7 })
  const shown = (await level.iterator().all()).map(([key, value]) => `${key.replaceAll('\0', ' ')} = ${value}`)
  expect(schemaVersion).toBe(3)
  expect(shown).toEqual([
    `blobs ${a} = {"size":5,"root":"${root}","dagSize":6}`,
    `blocks ${leaf} blob:${a} = r1048576,77`,
    `blocks ${inner} blob:${a} = n4`,
    `doomed ${b} = `,
    `images ${b} = {"root":"${root}","dagSize":9}`,
    `links lib/app ${a} = {"at":1,"size":5}`,
    'losses manifest = 1',
    `lost manifest ${b} = {"problem":"corrupt","at":8,"foundBy":"scrub","quarantined":"name"}`,
    `manifests ${b} = { }`,
    `meta references = {"after":{"repository":"lib/app","digest":"${a}"}}`,
    'meta schema = 3',
    `nodes ${inner} = node`,
    `referrers lib/app ${a} ${b} = {"mediaType":"m/t","digest":"${b}","size":3,"artifactType":"x/y","annotations":{"k":"v"}}`,
    `refs lib/app ${a} ${b} = `,
    `repos ${a} lib/app = `,
    `repos ${b} lib/app = `,
    `revisions lib/app ${b} = {"mediaType":"m/t","size":3,"at":2}`,
    `tagged lib/app ${b} v1 = `,
    `tags lib/app v1 = {"digest":"${b}","at":3}`,
    'tokens Id = {"name":"ci","kind":"access","hash":"ab","grants":[{"repositories":"lib/**","actions":["pull"]}],"createdAt":5,"expiresAt":6}',
    'tokens Is = {"name":"ann","kind":"refresh","hash":"ef","grants":[],"user":{"name":"ann","credential":"cd"},"createdAt":7}',
    `unplaced ${a} = id`,
    'uploads id = {"repository":"lib/app","algorithm":"sha512","startedAt":4}',
    'usage lib/app = 8'
  ])
  await store.close()
})
