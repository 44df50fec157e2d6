import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import { annotations } from './fields.ts'
import { foreignKey, judgeForeign } from './foreign.ts'
import { listOf, recordValue, schemaKeys } from './keys.ts'
import { readLeaf } from './leaf.ts'
import { nearestKey } from './nearest.ts'
import { type Place, type Problem, problemAt, showKey, showPlace } from './problem.ts'
import { isBlank, isNull, type MapNode, type Node } from './tree.ts'

/** A tree as plain values of the kinds the schema asks for; what does not fit is left for validation to name. */
export interface Shaped {
  value: unknown
  /** Where each value was written, by JSON pointer. */
  places: Map<string, Place>
  problems: Problem[]
  warnings: string[]
  /** Keys that somebody probably meant who wrote others: their defaults are not what is wanted. */
  meant: string[]
}

export function pointerOf(parent: string, key: string): string {
  return `${parent}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** Reads the tree by the schema: `0123` is text where text is wanted, one value is a list of one, null is unset. */
export function shape(root: Node, schema: TSchema): Shaped {
  const shaped: Shaped = { value: undefined, places: new Map(), problems: [], warnings: [], meant: [] }
  shaped.value = new Shaper(shaped, schema).read(root, schema, '', '')
  return shaped
}

class Shaper {
  readonly #shaped: Shaped
  readonly #keys: readonly string[]

  constructor(shaped: Shaped, schema: TSchema) {
    this.#shaped = shaped
    this.#keys = schemaKeys(schema)
  }

  read(node: Node, schema: TSchema, key: string, pointer: string): unknown {
    this.#shaped.places.set(pointer, node.place)
    if (annotations(schema).guard === true && !key.includes('.') && isEmpty(node))
      this.#shaped.warnings.push(`${showPlace(node.place)}: ${key} has nothing under it, as if it were not there`)
    if (KindGuard.IsObject(schema)) return this.#readSection(node, schema, key, pointer)
    if (KindGuard.IsRecord(schema)) return this.#readRecord(node, recordValue(schema), key, pointer)
    const list = listOf(schema)
    // What can be a list or a word, is a list where it is written as one.
    if (list !== undefined && (KindGuard.IsArray(schema) || node.kind === 'list'))
      return this.#readList(node, list.items, key, pointer)
    return node.kind === 'scalar' ? readLeaf(node, schema) : plain(node)
  }

  #readSection(node: Node, schema: TObject, key: string, pointer: string): unknown {
    const guard = annotations(schema).guard === true
    if (isNull(node)) return guard ? {} : undefined
    if (node.kind !== 'map') return plain(node)
    if (schema.default === undefined && isBlank(node) && !guard) return undefined
    const result: Record<string, unknown> = {}
    for (const [name, child] of node.entries) {
      const childKey = key === '' ? name : `${key}.${name}`
      const childSchema = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
      if (childSchema === undefined) this.#notOurs(childKey, child, node, Object.keys(schema.properties))
      else assign(result, name, this.read(child, childSchema, childKey, pointerOf(pointer, name)))
    }
    return result
  }

  #readRecord(node: Node, schema: TSchema, key: string, pointer: string): unknown {
    if (isNull(node)) return undefined
    if (node.kind !== 'map') return plain(node)
    const result: Record<string, unknown> = {}
    for (const [name, child] of node.entries) {
      assign(result, name, this.read(child, schema, `${key}.${name}`, pointerOf(pointer, name)))
    }
    return result
  }

  #readList(node: Node, schema: TSchema, key: string, pointer: string): unknown {
    if (isNull(node)) return undefined
    if (node.kind === 'map') return plain(node)
    const items = node.kind === 'list' ? node.items : [node]
    return items.map((item, index) => {
      // An entry keeps its place even when nothing is in it.
      return this.read(item, schema, `${key}[${index}]`, `${pointer}/${index}`) ?? (item.kind === 'map' ? {} : null)
    })
  }

  #notOurs(key: string, node: Node, parent: MapNode, siblings: readonly string[]): void {
    const verdict = foreignKey(key) !== undefined ? judgeForeign(key, node, parent) : undefined
    if (verdict === undefined) {
      const nearest = nearestKey(key, siblings, this.#keys)
      if (nearest !== undefined) this.#shaped.meant.push(nearest)
      const instead = nearest === undefined ? 'docs/configuration.md lists all' : `the nearest is ${nearest}`
      const sentence = `${showKey(key)} is not a key of the configuration; ${instead}`
      this.#shaped.problems.push(problemAt(node.place, sentence, key))
    } else if ('stop' in verdict) this.#shaped.problems.push(problemAt(node.place, verdict.stop, key))
    else this.#shaped.warnings.push(`${showPlace(node.place)}: ${verdict.warning}`)
  }
}

function isEmpty(node: Node): boolean {
  return node.kind === 'map' ? node.entries.size === 0 : isNull(node)
}

/** Stands for a list or section where neither belongs: it fails every schema, and no default merges with it. */
export const misplaced = { list: Symbol('a list'), map: Symbol('a section') } as const

/** What was written, for the message that it is of the wrong kind. */
function plain(node: Node): unknown {
  return node.kind === 'scalar' ? node.value : misplaced[node.kind]
}

/** A plain assignment would make `__proto__: {…}` the prototype. */
function assign(target: Record<string, unknown>, key: string, value: unknown): void {
  if (value === undefined) return
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}
