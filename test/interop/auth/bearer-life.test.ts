import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { lacking } from '../find.ts'
import { type Image, imageOf, tarOf } from '../images.ts'
import { interopIsRequired } from '../tools.ts'
import type { ClientInit } from './client.ts'
import { ctr, docker, dockerOnContainerd, podman } from './engine-clients.ts'
import { type Guarded, passwords, type Request, startGuarded } from './guarded.ts'
import { crane, oras, regctl, skopeo } from './layout-clients.ts'
import { pausingLink } from './pausing-link.ts'
import { shortLife } from './short-life.ts'

const entry = fileURLToPath(new URL('serve-short-lived.ts', import.meta.url))

/** Layers enough for 200 requests behind the pauses: each is asked for, opened and written. */
const layers = 110
/** Together longer than a bearer lives and is honoured beyond that. */
const [pauses, every, pause] = [26, 4, 2900]

function manyLayers(): Image {
  return imageOf(Array.from({ length: layers }, (_, n) => tarOf({ [`file-${n}`]: Buffer.from(`${n}`) })))
}

const clients = [crane, ctr, docker, dockerOnContainerd, oras, podman, regctl, skopeo] satisfies ClientInit[]
/** containerd has every layer under way at once, and each that meets the end of the bearer asks for another. */
const allAtOnce: ReadonlySet<ClientInit> = new Set<ClientInit>([ctr, dockerOnContainerd])
const lackingFor = ({ tools }: ClientInit): string[] => tools.map(lacking).filter(line => line !== undefined)

describe('a push that outlives its bearer token goes on with another', () => {
  const outcomes = new Map<string, PromiseSettledResult<void>>()
  // All at once: they wait for most of the time.
  beforeAll(async () => {
    const able = clients.filter(init => lackingFor(init).length === 0)
    const settled = await Promise.allSettled(able.map(init => outlive(init)))
    for (const [at, outcome] of settled.entries()) outcomes.set(able[at]?.name ?? '', outcome)
  }, 420_000)
  for (const init of clients) {
    const missing = lackingFor(init)
    const needs = missing.length === 0 ? '' : ` (needs ${missing.join('; ')})`
    it.skipIf(missing.length > 0 && !interopIsRequired())(`${init.name}${needs}`, () => {
      const outcome = outcomes.get(init.name)
      if (outcome?.status === 'rejected') throw outcome.reason
      expect(outcome).toBeDefined()
    })
  }
})

const isRefused = ({ status }: Request): boolean => status >= 400 && status !== 404

function shown(requests: readonly Request[], began: number): string {
  return requests.map(({ at, method, path, status }) => `${at - began} ms ${method} ${path} ${status}`).join('\n')
}

async function outlive(init: ClientInit): Promise<void> {
  const guarded = await startGuarded({ entry })
  try {
    await pushSlowly(guarded, init)
  } finally {
    await guarded.close()
  }
}

async function pushSlowly(guarded: Guarded, init: ClientInit): Promise<void> {
  const targetPort = Number(new URL(guarded.node.url).port)
  const link = await pausingLink({ targetPort, pauses, every, pause })
  const client = await init.start(`127.0.0.1:${link.port}`, manyLayers())
  try {
    await client.login('alice', passwords.alice)
    const began = Date.now()
    const { exitCode, output } = await client.push('team/app')
    const requests = (await guarded.requests()).filter(({ at }) => at >= began)
    if (exitCode !== 0) throw new Error(`${output.slice(-4000)}\n${shown(requests.filter(isRefused), began)}`)
    expect(requests.filter(({ at }) => at > began + shortLife).length).toBeGreaterThan(200)
    const tokens = requests.filter(({ path }) => path.startsWith('/token'))
    // One to begin with, one behind the end of the first; not one for every request.
    expect(tokens.length).toBeGreaterThan(1)
    expect(tokens.length).toBeLessThan(allAtOnce.has(init) ? layers : 20)
    expect((await guarded.as('alice', 'team/app/tags/list')).status).toBe(200)
  } finally {
    await client.close()
    link.close()
  }
}
