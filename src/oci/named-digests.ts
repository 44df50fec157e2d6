import { type Digest, tryParseDigest } from './digest.ts'

/** What `JSON.parse` makes of an object or a list. */
type Node = Readonly<Record<string, unknown>> | readonly unknown[]

/**
 * Every digest that a manifest of any type keeps in its repository: the `digest` of each object at any depth, where it is a
 * string that something can be stored under. What the object `subject` at the top holds is left out: a referrer is kept by
 * its subject and not the other way round.
 *
 * One pass over what was parsed, without recursion, so that depth costs memory only.
 */
export function namedDigests(document: Readonly<Record<string, unknown>>): Set<Digest> {
  const names = new Set<Digest>()
  const { subject, ...rest } = document
  const pending: Node[] = [rest]
  if (Array.isArray(subject)) pending.push(subject)
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const name = isList(node) || typeof node.digest !== 'string' ? undefined : tryParseDigest(node.digest)
    if (name !== undefined) names.add(name)
    if (isList(node)) for (const value of node) addNode(pending, value)
    else for (const field in node) addNode(pending, node[field])
  }
  return names
}

function addNode(pending: Node[], value: unknown): void {
  if (typeof value === 'object' && value !== null) pending.push(value as Node)
}

function isList(node: Node): node is readonly unknown[] {
  return Array.isArray(node)
}
