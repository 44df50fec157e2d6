import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tryParseDigest } from '../../src/oci/digest.ts'
import { namedDigests } from '../../src/oci/named-digests.ts'

const digests = Array.from({ length: 8 }, (_, at) => `sha256:${String(at).repeat(64)}`)
const wide = `sha512:${'a'.repeat(128)}`
/** What no object keeps anything by. */
const others = ['sha256:0', `sha256:${'A'.repeat(64)}`, `sha512:${'a'.repeat(64)}`, 'blake3:0a', '', 'latest']

/** A document with digests, and what only looks like one, anywhere in it. */
const { document } = fc.letrec<{ value: unknown; document: Record<string, unknown> }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(...digests, wide, ...others, 5, null, true),
    tie('document'),
    fc.array(tie('value'), { maxLength: 4 })
  ),
  document: fc.dictionary(
    fc.constantFrom('digest', 'digest', 'subject', 'layers', 'Digest', '__proto__', 'a'),
    tie('value'),
    { maxKeys: 4, noNullPrototype: true }
  )
}))

/** The rule in the fewest words: by recursion, on what a reader of JSON sees. */
function expected(value: unknown, top: boolean, found: Set<string>): Set<string> {
  if (Array.isArray(value)) for (const entry of value) expected(entry, false, found)
  else if (typeof value === 'object' && value !== null) {
    for (const [name, entry] of Object.entries(value)) {
      if (name === 'digest' && typeof entry === 'string' && tryParseDigest(entry) !== undefined) found.add(entry)
      if (!(top && name === 'subject' && typeof entry === 'object' && !Array.isArray(entry)))
        expected(entry, false, found)
    }
  }
  return found
}

test('every object that names a digest, at any depth, but nothing of the subject at the top', () => {
  let some = 0
  fc.assert(
    fc.property(document, made => {
      // As it comes from the wire.
      const parsed: Record<string, unknown> = JSON.parse(JSON.stringify(made))
      const names = namedDigests(parsed)
      some += names.size
      expect([...names].sort()).toEqual([...expected(parsed, true, new Set())].sort())
    }),
    { numRuns: 1_000 }
  )
  expect(some).toBeGreaterThan(100)
})

test('what the subject names too is kept by whoever else names it', () => {
  const [a, b, c] = digests
  const subject = { digest: a, annotations: { digest: b } }
  expect([...namedDigests({ subject })]).toEqual([])
  expect([...namedDigests({ subject, layers: [{ digest: a }] })]).toEqual([a])
  expect([...namedDigests({ layers: [{ subject: { digest: c } }] })]).toEqual([c])
  expect([...namedDigests({ digest: c, subject })]).toEqual([c])
  expect([...namedDigests({ subject: [{ digest: a }] })]).toEqual([a])
})

test('depth is no limit', () => {
  const depth = 200_000
  const text = `${'{"a":['.repeat(depth)}{"digest":"${wide}"}${']}'.repeat(depth)}`
  expect([...namedDigests(JSON.parse(text))]).toEqual([wide])
})
