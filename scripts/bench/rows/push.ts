import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { PushForm } from '../load/push.ts'
import { type Bench, type Row, runRow, type Work } from '../measure.ts'
import { freeBlob } from '../targets/target.ts'

const repository = 'bench/push'
const mebibyte = 1 << 20
const large = 512 * mebibyte
const small = { count: 200, size: mebibyte, connections: 8 }

/**
 * What an earlier push left to the kernel must not be written during the next one. Best effort: a peer that never syncs
 * (olareg) would otherwise slow the others down.
 */
export async function settleDisk(): Promise<void> {
  await promisify(execFile)('sync', { timeout: 120_000 }).catch(() => undefined)
}

function work(bench: Bench, name: string, blobs: { count: number; size: number; connections: number }, form: PushForm) {
  const { generator, run } = bench
  let digests: string[] = []
  return {
    name,
    unit: 'MB/s',
    better: 'more',
    prepare: settleDisk,
    async measure(target, round, signal) {
      const seeds = Array.from({ length: blobs.count }, (_, index) => `${run}/${name}/${round}/${index}`)
      const { seconds, digests: pushed } = await generator.transfer(
        {
          type: 'push',
          origin: target.origin,
          repository,
          blobs: seeds.map(seed => ({ seed, size: blobs.size })),
          form,
          connections: blobs.connections
        },
        signal
      )
      digests = pushed
      return (blobs.count * blobs.size) / 1e6 / seconds
    },
    async cleanUp(target) {
      for (const digest of digests) await freeBlob(target, repository, digest)
      digests = []
    }
  } satisfies Work
}

/** A large blob alone, sent in both ways clients do, and many small ones at once. */
export async function pushRows(bench: Bench): Promise<Row[]> {
  const one = { count: 1, size: large, connections: 1 }
  return [
    await runRow(bench, work(bench, 'push 512 MiB, PATCH chunked (docker)', one, 'chunked')),
    await runRow(bench, work(bench, 'push 512 MiB, PUT with length (containerd)', one, 'length')),
    await runRow(bench, work(bench, 'push 200 × 1 MiB, c=8', small, 'chunked'))
  ]
}
