import { type Bench, type Row, runRow, type Work } from '../measure.ts'
import { freeBlob } from '../targets/target.ts'
import { settleDisk } from './push.ts'

const size = 512 << 20
const repository = 'bench/pull'

/** A blob of this round, pulled by one client and by eight; the pull that is not measured checks its bytes. */
export async function pullRows(bench: Bench): Promise<Row[]> {
  const { generator, run } = bench
  const pulled = (connections: number): Work => {
    const digests = new Map<string, string>()
    const name = `pull 512 MiB, c=${connections}`
    return {
      name,
      unit: 'MB/s',
      better: 'more',
      async prepare(target, round, signal) {
        const { origin } = target
        const blobs = [{ seed: `${run}/${name}/${round}`, size }]
        const pushed = await generator.transfer(
          { type: 'push', origin, repository, blobs, form: 'length', connections: 1 },
          signal
        )
        const [digest = ''] = pushed.digests
        digests.set(target.name, digest)
        await generator.transfer(
          { type: 'pull', origin, repository, digest, size, connections: 1, verify: true },
          signal
        )
      },
      async measure({ name: target, origin }, _round, signal) {
        const digest = digests.get(target) ?? ''
        const { seconds } = await generator.transfer(
          { type: 'pull', origin, repository, digest, size, connections },
          signal
        )
        return (connections * size) / 1e6 / seconds
      },
      async cleanUp(target) {
        const digest = digests.get(target.name)
        digests.delete(target.name)
        if (digest !== undefined) await freeBlob(target, repository, digest)
      }
    }
  }
  return [await runRow(bench, pulled(1)), await runRow(bench, pulled(8)), await runRow(bench, passedOn(bench))]
}

/** From the first byte of a push to the last of the pull that follows at once: what a build that deploys waits for. */
function passedOn({ generator, run }: Bench): Work {
  const name = 'push 512 MiB, then its first pull'
  let digest = ''
  return {
    name,
    unit: 's',
    better: 'less',
    prepare: settleDisk,
    async measure({ origin }, round, signal) {
      const blobs = [{ seed: `${run}/${name}/${round}`, size }]
      const pushed = await generator.transfer(
        { type: 'push', origin, repository, blobs, form: 'chunked', connections: 1 },
        signal
      )
      digest = pushed.digests[0] ?? ''
      const pulled = await generator.transfer(
        { type: 'pull', origin, repository, digest, size, connections: 1 },
        signal
      )
      return pushed.seconds + pulled.seconds
    },
    async cleanUp(target) {
      await freeBlob(target, repository, digest)
    }
  }
}
