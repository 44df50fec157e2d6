/**
 * How long a peer waits for DONT_HAVE must not tell it that a private repository has what it asked for. Times are not
 * asserted: `npm run soak -- timing` prints them, and here the work behind an answer is counted.
 */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { expect, onTestFinished, test, vi } from 'vitest'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { startIpfs } from '../../src/ipfs/ipfs.ts'
import { createBlockSource } from '../../src/node/block-source.ts'
import { blobPlace, storagePaths } from '../../src/storage/paths.ts'
import { BitswapProbe } from '../ipfs/bitswap-probe.ts'
import { silentLog } from '../ipfs/silent-log.ts'
import { openTemporaryRegistry, pushBlob, pushImage } from '../registry/temporary-registry.ts'

const MiB = 1024 * 1024
/** Wants of each kind. */
const rounds = Number(process.env.PINNACE_TIMING_WANTS ?? 20)

function leafCid(bytes: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(0x12, createHash('sha256').update(bytes).digest()))
}

async function serving() {
  const node = await openTemporaryRegistry()
  const source = createBlockSource({
    metadata: node.metadata,
    files: node.files,
    dags: new UnixfsDagBuilder(),
    blobPath: digest => blobPlace(storagePaths(node.folder), digest).file,
    authorize: (_subject, _action, repository) => repository.startsWith('public/')
  })
  const components = { source, log: silentLog, onCorrupt: () => expect.unreachable() }
  const ipfs = await startIpfs(components, { folder: join(node.folder, 'ipfs'), listen: ['/ip4/127.0.0.1/tcp/0'] })
  onTestFinished(async () => {
    await ipfs.stop()
    await node.close()
  })
  const [address = ''] = ipfs.multiaddrs()
  return { registry: node.registry, metadata: node.metadata, probe: await BitswapProbe.connect(address) }
}

/** CIDs of private things, by what they are. */
async function privateThings({ registry }: Awaited<ReturnType<typeof serving>>): Promise<Record<string, CID>> {
  const large = randomBytes(2 * MiB)
  const digest = await pushBlob(registry, 'team/app', large)
  const many = randomBytes(3000)
  const everywhere = await pushBlob(registry, 'team/app', many)
  for (let count = 0; count < 20; count++) await registry.mountBlob(`team/${count}`, everywhere, 'team/app', () => true)
  const small = randomBytes(3000)
  await pushBlob(registry, 'team/app', small)
  const { image, manifest } = await pushImage(registry, 'team/app', 'v1')
  if (image === undefined) throw new Error('no image CID')
  return {
    'a small blob': leafCid(small),
    'a leaf of a large blob': leafCid(large.subarray(0, MiB)),
    'the root of a large blob': (await registry.statBlob('team/app', digest)).root,
    'a blob in 21 repositories': leafCid(many),
    'a manifest': leafCid(manifest),
    'an image': image
  }
}

function quantile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * part)] ?? Number.NaN
}

/** Chance that a want of the first kind took longer than one of the second: 0.5 when nothing tells them apart. */
function longer(first: readonly number[], second: readonly number[]): number {
  const sorted = [...second].sort((a, b) => a - b)
  let below = 0
  for (const value of first) {
    let [from, to] = [0, sorted.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((sorted[middle] ?? 0) < value) from = middle + 1
      else to = middle
    }
    below += from
  }
  return below / (first.length * second.length)
}

test('a want that a private repository has takes as many looks into the index as one that nobody has', async () => {
  const node = await serving()
  const looks: string[] = []
  const { blockHomes, holders } = node.metadata
  vi.spyOn(node.metadata, 'blockHomes').mockImplementation((...args) => {
    looks.push('homes')
    return blockHomes.apply(node.metadata, args)
  })
  vi.spyOn(node.metadata, 'holders').mockImplementation((...args) => {
    looks.push('holders')
    return holders.apply(node.metadata, args)
  })
  for (const cid of [leafCid(randomBytes(20)), ...Object.values(await privateThings(node))]) {
    for (const presenceOnly of [true, false]) {
      for (const sendDontHave of [true, false]) {
        looks.length = 0
        await node.probe.ask([{ cid, presenceOnly, sendDontHave }], sendDontHave ? 1 : 0)
        await expect.poll(() => looks).toEqual(['homes', 'holders'])
      }
    }
  }
})

test('private and absent wants are answered alike, one among the other', async () => {
  const node = await serving()
  const kinds = Object.entries({
    nothing: leafCid(randomBytes(20)),
    'nothing, another': leafCid(randomBytes(20)),
    ...(await privateThings(node))
  }).map(([kind, cid]) => ({ kind, cid, times: [] as number[] }))
  for (let round = 0; round < rounds; round++) {
    for (const { cid, times } of [...kinds].sort(() => Math.random() - 0.5)) {
      const start = performance.now()
      expect(await node.probe.ask([{ cid }])).toEqual([{ cid: cid.toString(), have: false }])
      times.push((performance.now() - start) * 1000)
    }
  }
  if (process.env.PINNACE_TIMING_WANTS === undefined) return
  const [nothing] = kinds
  for (const { kind, times } of kinds) {
    const [q1, median, q3] = [0.25, 0.5, 0.75].map(part => quantile(times, part).toFixed(1))
    const chance = longer(times, nothing?.times ?? []).toFixed(3)
    console.log(`${kind.padEnd(28)} median ${median} µs, quartiles ${q1}–${q3}; longer than nothing: ${chance}`)
  }
}, 3_600_000)
