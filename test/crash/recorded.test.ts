import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemon } from '../interop/daemon.ts'
import { describeWithTools } from '../interop/tools.ts'
import { openTemporaryRegistry, pullBlob, type TemporaryRegistry } from '../registry/temporary-registry.ts'
import { RecordedDisk, type Survival } from './recorded-disk.ts'
import { type Call, readTrace, recorded } from './trace.ts'
import { Client, type Promised } from './workload.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** A seeded generator (mulberry32), so that a failure can be had again. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

describeWithTools(['strace'], 'a power cut at any point of real pushes', () => {
  let folder: string
  let data: string
  const promises = new Map<string, Promised>()
  const calls: Call[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-recorded-'))
    data = join(folder, 'data')
    await record(folder, data, promises)
    for await (const call of readTrace(join(folder, 'trace'))) calls.push(call)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('nothing unsynced survives: all that was acknowledged is there and sound', { timeout: 300_000 }, async () => {
    const { points, acknowledged } = await replay(data, calls, promises, join(folder, 'strict'), () => 'nothing')
    expect(acknowledged).toBe(promises.size)
    // A recording without syncs would prove nothing.
    expect(points).toBeGreaterThan(60)
  })

  test('any part of the unsynced survives: the same', { timeout: 300_000 }, async () => {
    const seed = Number(process.env.PINNACE_SEED ?? randomBytes(4).readUInt32LE())
    const random = generator(seed)
    const survival = () => (upTo: number) => random(upTo + 1)
    await replay(data, calls, promises, join(folder, 'loose'), survival).catch(error => {
      throw new Error(`PINNACE_SEED=${seed}`, { cause: error })
    })
  })
})

/** Pushes images into a node that strace watches, several at a time. */
async function record(folder: string, data: string, promises: Map<string, Promised>): Promise<void> {
  // -D: the node is the process started here, and strace one beside it, so that the node gets the signals.
  const command = [
    '-D',
    '-f',
    '--seccomp-bpf',
    '-q',
    '-y',
    '-xx',
    '-s',
    '8388608',
    '-e',
    `trace=${recorded}`,
    '-o',
    join(folder, 'trace')
  ]
  const node = await startDaemon('strace', [...command, process.execPath, main, 'serve', '--data', data], {
    env: { REGISTRY_HTTP_ADDR: '127.0.0.1:0', REGISTRY_IPFS_LISTEN: '[]', REGISTRY_LOG_LEVEL: 'info' },
    ready: /http:\/\/127\.0\.0\.1:\d+/,
    readyTimeout: 60_000,
    stopGrace: 60_000
  })
  try {
    const base = /http:\/\/127\.0\.0\.1:\d+/.exec(node.logs())?.[0] ?? ''
    const shared = randomBytes(70_000)
    const push = async (worker: number) => {
      const client = new Client(base, (id, promised) => {
        if (promised.kind !== 'staged') promises.set(id, promised)
      })
      const repository = `crash/r${worker}`
      for (let round = 0; round < 4; round++) {
        const layers = [shared, randomBytes(1 + round * 40_000), randomBytes(round === 2 ? 1_100_000 : 0)]
        await client.pushImage(repository, `t${round}`, layers, 1 + (round % 2) * 2)
      }
      await client.deleteTag(repository, 't1')
      client.close()
    }
    await Promise.all([0, 1, 2].map(push))
  } finally {
    await node.stop()
  }
  // strace writes on for a moment after the node has gone.
  const giveUp = Date.now() + 30_000
  const end = new RegExp(`^${node.pid} +\\+\\+\\+ exited with 0 `, 'm')
  while (!end.test(await endOf(join(folder, 'trace')))) {
    if (Date.now() > giveUp) throw new Error(`the recording does not end:\n${node.logs()}`)
    await sleep(100)
  }
}

/** The last lines of a file that may be very long. */
async function endOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, 4096)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('latin1')
  } finally {
    await file.close()
  }
}

/** Cuts the power after every sync and opens what is left. */
async function replay(
  data: string,
  calls: readonly Call[],
  promises: ReadonlyMap<string, Promised>,
  folder: string,
  survival: () => Survival
): Promise<{ points: number; acknowledged: number }> {
  const disk = new RecordedDisk(data)
  const kept = new Map<string, Promised>()
  let points = 0
  for (const [index, call] of calls.entries()) {
    if (call.type === 'write' && !disk.holds(call.file)) acknowledge(call.bytes, promises, kept)
    // What one sync made durable is all there is until the next one: promises made in between are due at its end.
    if (call.type === 'sync' && disk.holds(call.file) && index > 0) {
      await examine(disk, folder, survival(), kept)
      points++
    }
    disk.apply(call)
  }
  await examine(disk, folder, survival(), kept)
  return { points, acknowledged: kept.size }
}

function acknowledge(bytes: Buffer, promises: ReadonlyMap<string, Promised>, kept: Map<string, Promised>): void {
  const head = bytes.subarray(0, 2048).toString('latin1')
  if (!head.startsWith('HTTP/1.1 2')) return
  const id = /X-Request-Id: (\S+)/i.exec(head)?.[1]
  const promised = id === undefined ? undefined : promises.get(id)
  if (id !== undefined && promised !== undefined) kept.set(id, promised)
}

async function examine(
  disk: RecordedDisk,
  folder: string,
  survival: Survival,
  kept: ReadonlyMap<string, Promised>
): Promise<void> {
  const root = await mkdtemp(`${folder}-`)
  await disk.materialize(root, survival)
  const node = await openTemporaryRegistry({}, root)
  try {
    for (const promised of kept.values()) await verify(node, promised, kept)
    const report = await node.registry.scrub({ onDamage: damage => expect.fail(`damage: ${JSON.stringify(damage)}`) })
    expect(report.damages).toBe(0)
    // After recovery every staged file has its session: nothing is left that nobody will ever claim.
    for await (const { id } of node.staging.list()) expect(await node.metadata.upload(id)).toBeDefined()
  } finally {
    await node.close()
  }
}

async function verify(node: TemporaryRegistry, promised: Promised, kept: ReadonlyMap<string, Promised>): Promise<void> {
  if (promised.kind === 'blob') {
    const bytes = await pullBlob(node.registry, promised.repository, promised.digest)
    expect(bytes.length).toBe(promised.size)
    return
  }
  if (promised.kind === 'staged') return
  const { repository, tag } = promised
  const deleted =
    promised.kind === 'deleted' ||
    [...kept.values()].some(other => other.kind === 'deleted' && other.repository === repository && other.tag === tag)
  const read = await node.registry.getManifest(repository, { tag }).catch((error: unknown) => error)
  if (promised.kind === 'deleted') expect(read).toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
  // A deletion that was under way but not acknowledged may have happened.
  else if (!deleted && !(tag === 't1' && read instanceof Error)) expect(read).toMatchObject({ digest: promised.digest })
}
