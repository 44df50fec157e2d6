/** The door that anybody can knock at without a name: what a peer is told by bitswap of what is not for everyone. */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { expect, onTestFinished, test } from 'vitest'
import type { Authorize } from '../../src/access/authorize.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { startIpfs } from '../../src/ipfs/ipfs.ts'
import { NodeAccess } from '../../src/node/access.ts'
import { createBlockSource } from '../../src/node/block-source.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { blobPlace, storagePaths } from '../../src/storage/paths.ts'
import { loadText } from '../config/fixture.ts'
import { BitswapProbe, type Told } from '../ipfs/bitswap-probe.ts'
import { silentLog } from '../ipfs/silent-log.ts'
import { openTemporaryRegistry, pushBlob, pushImage } from '../registry/temporary-registry.ts'

const MiB = 1024 * 1024
const rules = `auth: {htpasswd: {path: /p}}
access:
  - {subject: anonymous, repositories: public/**, actions: [pull]}
  - {subject: user, repositories: "**", actions: [admin]}
  - {subject: peer, repositories: "**", actions: [pull]}
`

function leafCid(bytes: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(0x12, createHash('sha256').update(bytes).digest()))
}

async function authorizeBy(text: string): Promise<Authorize> {
  return new NodeAccess((await loadText(`version: 0.1\n${text}`)).config).authorize
}

async function serving() {
  let authorize = await authorizeBy(rules)
  let announce = (_root: CID): void => {}
  const node = await openTemporaryRegistry({}, undefined, 0, { stored: root => announce(root) })
  const source = createBlockSource({
    metadata: node.metadata,
    files: node.files,
    dags: new UnixfsDagBuilder(),
    blobPath: digest => blobPlace(storagePaths(node.folder), digest).file,
    authorize: (subject, action, repository) => authorize(subject, action, repository)
  })
  const components = { source, log: silentLog, onCorrupt: () => expect.unreachable() }
  const ipfs = await startIpfs(components, { folder: join(node.folder, 'ipfs'), listen: ['/ip4/127.0.0.1/tcp/0'] })
  announce = root => ipfs.announce(root)
  onTestFinished(async () => {
    await ipfs.stop()
    await node.close()
  })
  const [address = ''] = ipfs.multiaddrs()
  const probe = await BitswapProbe.connect(address)
  const rootOf = async (repository: string, digest: Digest) => (await node.registry.statBlob(repository, digest)).root
  return {
    registry: node.registry,
    probe,
    rootOf,
    /** Both ways of asking, each alone, so that answers come in this order. */
    ask: async (cid: CID): Promise<Told[]> => [
      ...(await probe.ask([{ cid, presenceOnly: true }])),
      ...(await probe.ask([{ cid }]))
    ],
    change: (changed: Authorize) => {
      authorize = changed
    }
  }
}

function refused(cid: CID): Told[] {
  return [
    { cid: cid.toString(), have: false },
    { cid: cid.toString(), have: false }
  ]
}

test('a private image is answered, root, layers and leaves, exactly as one that does not exist', async () => {
  const { registry, rootOf, ask } = await serving()
  const { config, layers, manifest, digest, image } = await pushImage(registry, 'team/app', 'v1', [2 * MiB + 5])
  const [layer = Buffer.alloc(0)] = layers
  if (image === undefined) throw new Error('no image CID')
  const cids = [
    image,
    await rootOf('team/app', digestOf(layer)),
    leafCid(layer.subarray(0, MiB)),
    leafCid(layer.subarray(2 * MiB)),
    leafCid(config),
    leafCid(manifest),
    leafCid(randomBytes(10))
  ]
  for (const cid of cids) expect(await ask(cid)).toEqual(refused(cid))
  expect(digest).toBe(digestOf(manifest))
})

test('of a private blob only the leaf that a public one has too is served', async () => {
  const { registry, rootOf, ask, probe } = await serving()
  const [first, shared, last] = [randomBytes(MiB), randomBytes(MiB), randomBytes(77)]
  const secret = await pushBlob(registry, 'team/app', Buffer.concat([first, shared, last]))
  expect(await ask(leafCid(shared))).toEqual(refused(leafCid(shared)))
  const open = await pushBlob(registry, 'public/app', Buffer.concat([shared, randomBytes(10)]))
  expect(await probe.ask([{ cid: leafCid(shared) }])).toEqual([{ block: shared }])
  expect(await probe.ask([{ cid: await rootOf('public/app', open) }])).toMatchObject([{ block: expect.any(Buffer) }])
  for (const cid of [await rootOf('team/app', secret), leafCid(first), leafCid(last)])
    expect(await ask(cid)).toEqual(refused(cid))
})

test('what becomes public is served, and what no longer is, is not, from the next request on', async () => {
  const { registry, ask, probe, change } = await serving()
  const bytes = randomBytes(5000)
  const cid = leafCid(bytes)
  const digest = await pushBlob(registry, 'team/app', bytes)
  expect(await ask(cid)).toEqual(refused(cid))
  await registry.mountBlob('public/app', digest, 'team/app', () => true)
  expect(await probe.ask([{ cid }])).toEqual([{ block: bytes }])
  await registry.deleteBlob('public/app', digest)
  expect(await ask(cid)).toEqual(refused(cid))
  change(await authorizeBy(rules.replace('public/**', 'team/**')))
  expect(await probe.ask([{ cid }])).toEqual([{ block: bytes }])
  change(await authorizeBy(rules))
  expect(await ask(cid)).toEqual(refused(cid))
})

test('whoever waits for a block is not told that it came to a private repository', async () => {
  const { registry, ask, probe } = await serving()
  const [hidden, open] = [randomBytes(3000), randomBytes(3000)]
  for (const bytes of [hidden, open]) expect(await ask(leafCid(bytes))).toEqual(refused(leafCid(bytes)))
  const before = probe.told.length
  await pushBlob(registry, 'team/app', hidden)
  await pushBlob(registry, 'public/app', open)
  await probe.until(before + 1)
  expect(probe.told.slice(before)).toEqual([{ block: open }])
})

test('however it is asked, private and absent get answers of the same kinds, order and sizes', async () => {
  const { registry, probe } = await serving()
  const [secret, known] = [randomBytes(5000), randomBytes(5000)]
  await pushBlob(registry, 'team/app', secret)
  await pushBlob(registry, 'public/app', known)
  const open = { cid: leafCid(known) }
  /** Kinds and sizes of all that is told when a conversation is about this CID. */
  const conversation = async (cid: CID) => {
    const [told, sizes] = [probe.told.length, probe.sizes.length]
    for (const presenceOnly of [true, false]) {
      await probe.ask([{ cid, presenceOnly }])
      // Not to be told: the answer behind it is what comes.
      await probe.ask([{ cid, presenceOnly, sendDontHave: false }, open], 1)
      // Wanted, given up and wanted again, in one message and in several.
      await probe.ask(
        [
          { cid, presenceOnly },
          { cid, cancel: true },
          { cid, presenceOnly }
        ],
        1
      )
      await probe.ask([{ cid, cancel: true }, open], 1)
      await probe.ask([{ cid, presenceOnly }])
      // Replaced by a whole list, and asked for by one. Never with another answer in one message: a slow machine may join them.
      await probe.ask([open], 1, true)
      await probe.ask([{ cid, presenceOnly }], 1, true)
      // As a presence and as a block at once, which is one want.
      await probe.ask(
        [
          { cid, presenceOnly },
          { cid, presenceOnly: !presenceOnly }
        ],
        1
      )
    }
    return {
      told: probe.told.slice(told).map(one => ('block' in one ? 'block' : `${one.cid === cid.toString()} ${one.have}`)),
      sizes: probe.sizes.slice(sizes)
    }
  }
  const forms: ((cid: CID) => CID)[] = [
    ({ multihash }) => CID.createV1(0x55, multihash),
    ({ multihash }) => CID.createV1(0x70, multihash),
    ({ multihash }) => CID.createV1(0x71, multihash),
    ({ multihash }) => CID.createV0(createMultihash(0x12, multihash.digest))
  ]
  for (const form of forms) {
    const absent = await conversation(form(leafCid(randomBytes(20))))
    expect(absent.told).toContain('true false')
    expect(await conversation(form(leafCid(secret)))).toEqual(absent)
  }
})

test('a want that stands is met by no rule and no mount before it is asked again, and then by the rule as it is', async () => {
  const { registry, probe, change } = await serving()
  const bytes = randomBytes(5000)
  const want = { cid: leafCid(bytes) }
  const digest = await pushBlob(registry, 'team/app', bytes)
  const refusal = { cid: want.cid.toString(), have: false }
  expect(await probe.ask([want])).toEqual([refusal])
  change(await authorizeBy(rules.replace('public/**', 'team/**')))
  expect(await probe.ask([want])).toEqual([{ block: bytes }])
  change(await authorizeBy(rules))
  expect(await probe.ask([want])).toEqual([refusal])
  await registry.mountBlob('public/app', digest, 'team/app', () => true)
  const other = { cid: leafCid(randomBytes(20)) }
  // What the mount would have sent would have come before the answer to this.
  expect(await probe.ask([other])).toEqual([{ cid: other.cid.toString(), have: false }])
  expect(await probe.ask([want])).toEqual([{ block: bytes }])
  await registry.deleteBlob('public/app', digest)
  expect(await probe.ask([want])).toEqual([refusal])
})
