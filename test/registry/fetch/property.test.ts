import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RegistryError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Registry } from '../../../src/registry/registry.ts'
import { imageManifest, mayFetch, openTemporaryRegistry, putManifest } from '../temporary-registry.ts'
import { type Script, ScriptedSource } from './scripted-source.ts'

const MiB = 1 << 20
const layer = randomBytes(3 * MiB + 1000)
const digest = digestOf(layer)
const config = Buffer.from('{}')

const at = fc.integer({ min: 0, max: layer.length - 1 })
const script: fc.Arbitrary<Script> = fc.oneof(
  fc.record({ failAt: at }),
  fc.record({ stallAt: at }),
  fc.record({ endAt: at }),
  fc.record({ corruptAt: at }),
  fc.record({ corruptAt: at, failAt: at }),
  fc.record({ corruptAt: at, extra: fc.constant(Buffer.from('x')) }),
  fc.constant<Script>({ repositories: [] }),
  fc.constant<Script>({ silent: true })
)
interface Client {
  range: { start: number; end: number }
  /** Wants all of it instead. */
  whole: boolean
  /** Hangs up after so many bytes. */
  leavesAfter: number | undefined
}
const client: fc.Arbitrary<Client> = fc.record({
  range: fc.tuple(at, at).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) + 1 })),
  whole: fc.boolean(),
  leavesAfter: fc.option(at, { nil: undefined })
})

/** How a client fared: what it got was all right, or it was cut. */
async function read(registry: Registry, { range, whole, leavesAfter }: Client): Promise<string> {
  const wanted = whole ? { start: 0, end: layer.length } : range
  const parts: Buffer[] = []
  let count = 0
  try {
    const reading = await registry.openBlob('a', digest, mayFetch)
    try {
      for await (const chunk of reading.read([wanted])) {
        parts.push(Buffer.from(chunk))
        count += chunk.length
        if (leavesAfter !== undefined && count > leavesAfter) return 'left'
      }
    } finally {
      await reading.close()
    }
  } catch (error) {
    if (!(error instanceof RegistryError) || count === wanted.end - wanted.start) throw error
    expect(error.reason).toBe('UNAVAILABLE')
    return 'cut'
  }
  expect(Buffer.concat(parts).equals(layer.subarray(wanted.start, wanted.end))).toBe(true)
  return 'sound'
}

it('completes no response that is wrong, blames no honest source, and gets there while one source is sound', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(script, { maxLength: 3 }),
      fc.array(client, { minLength: 1, maxLength: 5 }),
      fc.nat(3),
      async (scripts, clients, place) => {
        const others = scripts.map((each, index) => new ScriptedSource(`odd${index}`, [layer], each))
        const sound = new ScriptedSource('sound', [layer])
        const sources = others.toSpliced(Math.min(place, others.length), 0, sound)
        const fetch = { stallMs: 40, lingerMs: 5, answerMs: 2_000 }
        let node = await openTemporaryRegistry({ sparse: 'all', fetch }, undefined, 0, { sources })
        try {
          await putManifest(node.registry, 'a', imageManifest(config, [layer]))
          await Promise.all(clients.map(each => read(node.registry, each)))
          node = await node.reopen()
          // As often as the liars could have it cut, and once more.
          let outcome = ''
          for (let round = 0; round < 8 && outcome !== 'sound'; round++)
            outcome = await read(node.registry, { whole: true, range: { start: 0, end: 0 }, leavesAfter: undefined })
          expect(outcome).toBe('sound')
          expect(sound.blames).toEqual([])
          for (const { script: each, blames } of others) if (each.corruptAt === undefined) expect(blames).toEqual([])
        } finally {
          await node.close()
        }
      }
    ),
    { numRuns: 60 }
  )
})
