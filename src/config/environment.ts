import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import { annotations } from './fields.ts'
import { foreignKey } from './foreign.ts'
import { listOf, recordValue, variableName } from './keys.ts'
import { takesText } from './leaf.ts'
import { nearestVariable, variableKeys } from './nearest.ts'
import { parseYaml } from './parse-yaml.ts'
import { type Place, type Problem, problemAt } from './problem.ts'
import { isServiceVariable } from './service-variables.ts'
import { emptyMap, expandShorthand, isNull, type ListNode, type MapNode, type Node, textNode } from './tree.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const prefix = 'REGISTRY_'
/** Names the file, as it does for distribution; no key. */
export const fileVariable = 'REGISTRY_CONFIGURATION_PATH'

export interface Overridden {
  root: Node
  /** Variables that had a meaning. */
  used: string[]
  /** Variables that name no key. */
  ignored: string[]
  problems: Problem[]
  warnings: string[]
}

/** A variable is not for us (unknown key), or is for us and wrong. */
class Unrecognized extends Error {}
class Wrong extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.message)
    this.problem = problem
  }
}

/** The variables that may override keys, in the order distribution applies them: `A` before `A_B`. */
export function overridingVariables(environment: Environment): [name: string, value: string][] {
  return Object.entries(environment)
    .filter((entry): entry is [string, string] => entry[0].startsWith(prefix) && entry[1] !== undefined)
    .filter(([name, value]) => name !== fileVariable && !isServiceVariable(name, value))
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/**
 * Applies `REGISTRY_A_B` to the key `a.b` of a tree, which is changed. Values are YAML; where a key takes text, a value
 * that is no YAML scalar is that text.
 *
 * @param secretFiles contents of the files that `…_FILE` variables name, by variable
 */
export function applyEnvironment(
  root: Node,
  schema: TSchema,
  environment: Environment,
  secretFiles: ReadonlyMap<string, string>
): Overridden {
  const result: Overridden = { root, used: [], ignored: [], problems: [], warnings: [] }
  const keys = variableKeys(schema)
  // Not `auth` itself, below which any name is a provider: that is a foreign key, which stops the start.
  const guards = keys
    .filter(key => annotations(key.schema).guard === true && key.name.includes('.'))
    .map(({ variable }) => variable)
  for (const [name, value] of overridingVariables(environment)) {
    const variable = new Variable(name, value, environment, secretFiles)
    try {
      result.root = variable.override(result.root, schema, name.slice(prefix.length).split('_'), '')
      result.used.push(name)
    } catch (error) {
      if (error instanceof Wrong) result.problems.push(error.problem)
      else if (error instanceof Unrecognized) {
        const near = nearestVariable(name, keys)
        const instead = near === undefined ? 'docs/configuration.md lists all' : `the nearest is ${near.variable}`
        if (guards.some(guard => name.startsWith(`${guard}_`))) {
          const sentence = `this names no key, and ignoring it could leave the registry open; ${instead}`
          result.problems.push(problemAt({ source: name }, sentence))
        } else {
          result.ignored.push(name)
          result.warnings.push(`${name} names no key of the configuration and is ignored; ${instead}`)
        }
      } else throw error
    }
  }
  return result
}

class Variable {
  readonly #name: string
  readonly #value: string
  readonly #place: Place
  readonly #environment: Environment
  readonly #secretFiles: ReadonlyMap<string, string>

  constructor(name: string, value: string, environment: Environment, secretFiles: ReadonlyMap<string, string>) {
    this.#name = name
    this.#value = value
    this.#place = { source: name }
    this.#environment = environment
    this.#secretFiles = secretFiles
  }

  /** The node with the variable applied at `path` below it. */
  override(node: Node | undefined, schema: TSchema, path: readonly string[], key: string): Node {
    if (path.length === 0) return expandShorthand(key, this.#payload(schema))
    if (KindGuard.IsObject(schema)) return this.#inSection(node, schema, path, key)
    if (KindGuard.IsRecord(schema)) return this.#inRecord(node, recordValue(schema), path, key)
    const list = listOf(schema)
    if (list !== undefined) return this.#inList(node, list.items, path, key)
    if (annotations(schema).secret === true && path.length === 1 && path[0] === 'FILE') return this.#secretFile(node)
    throw new Unrecognized()
  }

  #inSection(node: Node | undefined, schema: TObject, path: readonly string[], key: string): Node {
    const found = matchKey(Object.keys(schema.properties), path)
    const name = found?.key ?? path[0]?.toLowerCase() ?? ''
    const childKey = key === '' ? name : `${key}.${name}`
    const child = schema.properties[name]
    if (found === undefined && foreignKey(childKey) === undefined) throw new Unrecognized()
    const map = this.#mapOf(node)
    // A section of the wrong kind is the file's error; leave it for validation to name.
    if (map === undefined) return node ?? emptyMap(this.#place)
    if (found !== undefined && child !== undefined) {
      const value = this.override(map.entries.get(name), child, path.slice(found.length), childKey)
      // With nothing under it in a file it is wrong; an empty variable takes it away.
      if (annotations(child).guard === true && isNull(value)) map.entries.delete(name)
      else map.entries.set(name, value)
    } else this.#setForeign(map, name, path.length === 1)
    return map
  }

  #inRecord(node: Node | undefined, schema: TSchema, path: readonly string[], key: string): Node {
    const [part = '', ...rest] = path
    if (part === '') throw new Unrecognized()
    const map = this.#mapOf(node)
    if (map === undefined) return node ?? emptyMap(this.#place)
    const name = [...map.entries.keys()].find(known => known.toUpperCase() === part.toUpperCase()) ?? part.toLowerCase()
    map.entries.set(name, this.override(map.entries.get(name), schema, rest, `${key}.${name}`))
    return map
  }

  #inList(node: Node | undefined, schema: TSchema, path: readonly string[], key: string): Node {
    const [part = '', ...rest] = path
    const list = this.#listOf(node)
    if (list === undefined) return node ?? emptyMap(this.#place)
    const index = /^\d{1,6}$/.test(part) ? Number(part) : Number.NaN
    if (!(index <= list.items.length)) {
      const sentence = `${key} is a list of ${list.items.length}: the name must end in an index from 0 to ${list.items.length}`
      throw new Wrong(problemAt(this.#place, sentence, key))
    }
    list.items[index] = this.override(list.items[index], schema, rest, `${key}[${index}]`)
    return list
  }

  #mapOf(node: Node | undefined): MapNode | undefined {
    if (node === undefined || isNull(node)) return emptyMap(this.#place)
    return node.kind === 'map' ? node : undefined
  }

  #listOf(node: Node | undefined): ListNode | undefined {
    if (node === undefined || isNull(node)) return { kind: 'list', items: [], place: this.#place }
    if (node.kind === 'scalar') return { kind: 'list', items: [node], place: node.place }
    return node.kind === 'list' ? node : undefined
  }

  /** A key of distribution's: only whether something is set there matters, and its value may be a secret. */
  #setForeign(map: MapNode, name: string, whole: boolean): void {
    const parsed = parseYaml(this.#value, this.#name, { lines: false })
    const blank = parsed.problems.length === 0 && (parsed.root === undefined || isNull(parsed.root))
    if (blank && !whole) return
    map.entries.set(name, textNode(blank ? '' : 'set', this.#place))
  }

  #payload(schema: TSchema): Node {
    const { root, problems } = parseYaml(this.#value, this.#name, { lines: false })
    const readable = problems.length === 0 && !/^\s*[&!#]/.test(this.#value)
    if (this.#value.trim() !== '') {
      const list = listOf(schema)
      const fits = root?.kind === 'scalar' || (root?.kind === 'list' && list !== undefined)
      if (takesText(schema) && !(readable && fits)) return textNode(this.#value, this.#place)
      // `[::1]:5005` for a list of texts.
      const listed = KindGuard.IsArray(schema) && takesText(schema.items)
      if (listed && (!readable || root?.kind === 'map')) return textNode(this.#value, this.#place)
    }
    const problem = problems[0]
    if (problem !== undefined) throw new Wrong(problem)
    return root ?? this.#unset()
  }

  #unset(): Node {
    return { kind: 'scalar', value: null, text: '', plain: true, place: this.#place }
  }

  #secretFile(node: Node | undefined): Node {
    const direct = this.#name.slice(0, -'_FILE'.length)
    if (this.#value === '') return node ?? this.#unset()
    if ((this.#environment[direct] ?? '') !== '') {
      throw new Wrong(problemAt(this.#place, `${direct} is set too; set one of the two`))
    }
    const content = this.#secretFiles.get(this.#name)
    // An unreadable file was reported when it was read.
    return content === undefined ? (node ?? this.#unset()) : textNode(content, this.#place)
  }
}

/** The key that the next parts of a name spell; `AUTH-TOKEN` and `AUTH_TOKEN` both spell `auth-token`. */
function matchKey(keys: readonly string[], path: readonly string[]): { key: string; length: number } | undefined {
  for (const key of keys) {
    if (path[0] === key.toUpperCase()) return { key, length: 1 }
    const parts = variableName(key).split('_')
    if (parts.every((part, index) => part === path[index])) return { key, length: parts.length }
  }
  return undefined
}
