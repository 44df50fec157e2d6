import type { Place } from './problem.ts'

/** YAML as it was written: enough to place an error and to read `0123` as text where text is wanted. */
export type Node = MapNode | ListNode | ScalarNode

export interface MapNode {
  kind: 'map'
  entries: Map<string, Node>
  place: Place
}

export interface ListNode {
  kind: 'list'
  items: Node[]
  place: Place
}

export interface ScalarNode {
  kind: 'scalar'
  /** What YAML's core schema makes of it. */
  value: string | number | boolean | null
  /** The text as written, without quotes. */
  text: string
  /** Whether it stood without quotes, so that it may be a number or a boolean. */
  plain: boolean
  place: Place
}

export function emptyMap(place: Place): MapNode {
  return { kind: 'map', entries: new Map(), place }
}

export function textNode(text: string, place: Place): ScalarNode {
  return { kind: 'scalar', value: text, text, plain: false, place }
}

export function isNull(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null
}

/** Whether nothing is configured here: null, or a map or list of nothing. */
export function isBlank(node: Node): boolean {
  if (node.kind === 'scalar') return node.value === null || node.text === ''
  return node.kind === 'map' ? [...node.entries.values()].every(isBlank) : node.items.length === 0
}

/** `storage: filesystem` means `storage: {filesystem: {}}`, and `auth: htpasswd` likewise, as they do to distribution. */
export function expandShorthand(key: string, node: Node): Node {
  if ((key !== 'storage' && key !== 'auth') || node.kind !== 'scalar' || isNull(node) || node.text === '') return node
  return { kind: 'map', entries: new Map([[node.text, emptyMap(node.place)]]), place: node.place }
}
