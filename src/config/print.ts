import { KindGuard, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Document, type Node, type Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { isRecord } from './defaults.ts'
import { accessInForce } from './exposure.ts'
import { annotations } from './fields.ts'
import { holdsSecret, recordValue, variableName } from './keys.ts'
import { type Config, configSchema } from './schema.ts'

/**
 * The whole configuration as YAML that `loadConfig` reads back to the same. A comment stands in the place of each secret, with
 * the variables that set it, and of each key whose default is no value that could be written.
 */
export function printConfig(config: Config): string {
  const encoded: unknown = Value.Encode(configSchema, structuredClone(config))
  // `0.1`, as everyone writes it, not `"0.1"`.
  const value = isRecord(encoded) ? { ...encoded, version: Number(config.version) } : encoded
  return printBySchema(value, configSchema, { access: accessInForce(config) })
}

/**
 * Encoded values of any schema, printed as {@link printConfig} does.
 *
 * @param inForce what holds for a key that is not set, by its dotted name, where the schema's own note is not exact
 */
export function printBySchema(value: unknown, schema: TSchema, inForce: Readonly<Record<string, string>> = {}): string {
  const document = new Document()
  const { node, comments } = new Printer(document, inForce).print(value, schema, '', 'REGISTRY')
  document.contents = node ?? new YAMLMap()
  if (comments.length > 0) document.comment = comments.join('\n')
  return document.toString({ lineWidth: 0 })
}

/** What stands there, if anything, and the comments that have no place within it. */
interface Printed {
  node?: Node
  comments: readonly string[]
}

class Printer {
  readonly #document: Document
  readonly #inForce: Readonly<Record<string, string>>

  constructor(document: Document, inForce: Readonly<Record<string, string>>) {
    this.#document = document
    this.#inForce = inForce
  }

  print(value: unknown, schema: TSchema, name: string, variable: string): Printed {
    if (annotations(schema).secret === true) return { comments: [` ${name}: set ${variable} or ${variable}_FILE`] }
    if (KindGuard.IsUnion(schema)) {
      const option = schema.anyOf.find(each => Value.Check(each, value))
      if (option !== undefined) return this.print(value, option, name, variable)
    }
    if (KindGuard.IsObject(schema) && isRecord(value)) return this.#section(value, schema.properties, name, variable)
    if (KindGuard.IsRecord(schema) && isRecord(value)) {
      const entry = recordValue(schema)
      const properties = Object.fromEntries(Object.keys(value).map(key => [key, entry]))
      return this.#section(value, properties, name, variable)
    }
    if (KindGuard.IsArray(schema) && Array.isArray(value)) return this.#list(value, schema, name, variable)
    // Nothing whose form is unknown is shown where there may be a secret in it.
    if (holdsSecret(schema)) return { comments: [` ${name}: not shown, since there may be a secret in it`] }
    return { node: this.#document.createNode(value), comments: [] }
  }

  #section(
    value: Record<string, unknown>,
    properties: Readonly<Record<string, TSchema>>,
    name: string,
    variable: string
  ): Printed {
    const map = new YAMLMap<Scalar, Node>(this.#document.schema)
    let comments: string[] = []
    for (const [key, schema] of Object.entries(properties)) {
      const childName = name === '' ? key : `${name}.${key}`
      const printed =
        Object.hasOwn(value, key) && value[key] !== undefined
          ? this.print(value[key], schema, childName, `${variable}_${variableName(key)}`)
          : this.#unset(schema, childName)
      comments.push(...printed.comments)
      // `auth: {}` would ask for a guard and name none.
      const { node } = printed
      if (
        node === undefined ||
        (annotations(schema).guard === true && node instanceof YAMLMap && node.items.length === 0)
      )
        continue
      const scalar = this.#document.createNode(key)
      if (comments.length > 0) scalar.commentBefore = comments.join('\n')
      comments = []
      map.add({ key: scalar, value: node })
    }
    if (map.items.length > 0 && comments.length > 0) {
      map.comment = comments.join('\n')
      comments = []
    }
    return map.items.length === 0 && comments.length > 0 ? { comments } : { node: map, comments }
  }

  #list(items: readonly unknown[], schema: TSchema, name: string, variable: string): Printed {
    const single = annotations(schema).single === true && items.length === 1
    const sequence = new YAMLSeq<Node>(this.#document.schema)
    const comments: string[] = []
    for (const [index, item] of items.entries()) {
      const printed = this.print(item, schema.items, `${name}[${index}]`, `${variable}_${index}`)
      comments.push(...printed.comments)
      if (printed.node !== undefined) sequence.add(printed.node)
    }
    const [only] = sequence.items
    if (single && only !== undefined) return { node: only, comments }
    return sequence.items.length === 0 && comments.length > 0 ? { comments } : { node: sequence, comments }
  }

  #unset(schema: TSchema, name: string): Printed {
    const note = this.#inForce[name] ?? annotations(schema).defaultNote
    return { comments: note === undefined ? [] : [` ${name} is not set: ${note.replaceAll('`', '')}`] }
  }
}
