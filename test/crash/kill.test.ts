import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Pinnace, startPinnace } from '../interop/node.ts'
import { interopIsRequired } from '../interop/tools.ts'
import { Client, type Promised } from './workload.ts'

/** 60 in CI; a newcomer's run shows that it works; `npm run soak` does 1,000. */
const rounds = Number(process.env.PINNACE_KILL_ROUNDS ?? (interopIsRequired() ? 60 : 5))
const workers = 3
/** Promises of earlier rounds that each round checks again; the end checks all. */
const sample = 10

type Staged = Extract<Promised, { kind: 'staged' }> & { whole: Buffer }

describe('SIGKILL at random points', () => {
  let node: Pinnace
  const promises: Promised[] = []

  beforeAll(async () => {
    node = await startPinnace({ config: { log: { level: 'warn' } } })
  })
  afterAll(() => node.close())

  test(`${rounds} rounds: what was acknowledged is there, uploads resume, nothing is left over`, {
    timeout: rounds * 20_000 + 60_000
  }, async () => {
    for (let round = 0; round < rounds; round++) {
      const { kept, staged } = await pushUntilKilled(node, round)
      await node.restart()
      const earlier = Array.from(
        { length: Math.min(sample, promises.length) },
        () => promises[randomInt(promises.length)]
      )
      for (const promised of [...kept, ...earlier]) if (promised !== undefined) await verify(node, promised)
      for (const session of staged) await resume(node, session)
      promises.push(...kept)
    }
    expect(promises.length).toBeGreaterThan(rounds)
    for (const promised of promises) await verify(node, promised)
    // Re-hashes every blob, and reports files that no record knows.
    const scrub = await node.pinnace(['scrub', '--json'], { timeout: 120_000 + rounds * 2_000 })
    expect(scrub.exitCode).toBe(0)
  })
})

/** Several clients push; the node dies in the middle. Returns what it had acknowledged by then. */
async function pushUntilKilled(node: Pinnace, round: number): Promise<{ kept: Promised[]; staged: Staged[] }> {
  const kept: Promised[] = []
  const staged = new Map<string, Staged>()
  let dead = false
  const work = async (worker: number) => {
    const repository = `kill/r${worker}`
    for (let image = 0; !dead; image++) {
      const whole = randomBytes(randomInt(1, 3_000_000))
      const client = new Client(node.url, (_id, promised) => {
        if (promised.kind !== 'staged') kept.push(promised)
        if (promised.kind === 'staged') staged.set(repository, { ...promised, whole })
        if (promised.kind === 'blob') staged.delete(repository)
      })
      const push = client.pushImage(repository, `t${round}-${image}`, [whole, randomBytes(1_000)], randomInt(1, 5))
      // The node is gone: the client sees a reset, and nothing more was promised.
      await push.catch((error: unknown) => {
        if (!dead) throw error
      })
      client.close()
    }
  }
  const working = Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  await sleep(randomInt(20, 700))
  dead = true
  await node.kill()
  await working
  return {
    kept,
    staged: [...staged.values()].filter(session =>
      session.whole.subarray(0, session.bytes.length).equals(session.bytes)
    )
  }
}

async function verify(node: Pinnace, promised: Promised): Promise<void> {
  if (promised.kind === 'blob') {
    const response = await fetch(`${node.url}/v2/${promised.repository}/blobs/${promised.digest}`)
    expect(response.status).toBe(200)
    expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(promised.digest)
  } else if (promised.kind === 'tag') {
    const response = await fetch(`${node.url}/v2/${promised.repository}/manifests/${promised.tag}`)
    expect(response.status).toBe(200)
    expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(promised.digest)
  }
}

/** Goes on where the node says the session is, which is at least where it last said so before it died. */
async function resume(node: Pinnace, session: Staged): Promise<void> {
  const url = new URL(session.location, node.url)
  const status = await fetch(url)
  const digest = digestOf(session.whole)
  if (status.status === 404) {
    // The PUT had been committed; only its answer was lost.
    const blob = await fetch(`${node.url}/v2/${session.repository}/blobs/${digest}`, { method: 'HEAD' })
    expect(blob.status).toBe(200)
    return
  }
  expect(status.status).toBe(204)
  const size = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1] ?? Number.NaN) + 1
  expect(size).toBeGreaterThanOrEqual(session.bytes.length)
  expect(size).toBeLessThanOrEqual(session.whole.length)
  url.searchParams.set('digest', digest)
  const rest = new Uint8Array(session.whole.subarray(size))
  const headers = rest.length > 0 ? { 'Content-Range': `${size}-${session.whole.length - 1}` } : undefined
  const put = await fetch(url, { method: 'PUT', body: rest, ...(headers && { headers }) })
  expect(put.status).toBe(201)
}
