import { KindGuard, type TArray, type TRecord, type TSchema } from '@sinclair/typebox'
import { annotations } from './fields.ts'

/** Schema of the values of a map with free keys. */
export function recordValue(schema: TRecord): TSchema {
  const [value] = Object.values(schema.patternProperties)
  if (value === undefined) throw new TypeError('a record schema without a value schema')
  return value
}

/** The list that a value of this schema is or, as with `access`, can be. */
export function listOf(schema: TSchema): TArray | undefined {
  if (KindGuard.IsArray(schema)) return schema
  return KindGuard.IsUnion(schema) ? schema.anyOf.find(option => KindGuard.IsArray(option)) : undefined
}

/** A key of the configuration. */
export interface Key {
  /** Dotted; `[]` for any entry of a list, `<name>` for any key of a map. */
  name: string
  /** The variable that overrides it, written so that a shell can set it; `<NAME>` for any key of a map. */
  variable: string
  schema: TSchema
  optional: boolean
}

/**
 * Every key below a schema, in the schema's order; sections themselves included. What lies below the entries of lists and
 * maps is among them, and an entry itself where it is a section of a map or a secret.
 */
export function* walkKeys(schema: TSchema, name = '', variable = 'REGISTRY', optional = false): Generator<Key> {
  if (name !== '') yield { name, variable, schema, optional }
  yield* keysBelow(schema, name, variable)
}

function* keysBelow(schema: TSchema, name: string, variable: string): Generator<Key> {
  if (KindGuard.IsObject(schema)) {
    for (const [key, child] of Object.entries(schema.properties)) {
      const childName = name === '' ? key : `${name}.${key}`
      yield* walkKeys(child, childName, `${variable}_${variableName(key)}`, KindGuard.IsOptional(child))
    }
  } else if (KindGuard.IsRecord(schema)) {
    const value = recordValue(schema)
    const [childName, childVariable] = [`${name}.<name>`, `${variable}_<NAME>`]
    if (KindGuard.IsObject(value) || isSecret(value)) yield* walkKeys(value, childName, childVariable, true)
    else yield* keysBelow(value, childName, childVariable)
  } else if (KindGuard.IsUnion(schema)) {
    for (const option of schema.anyOf) yield* keysBelow(option, name, variable)
  } else if (KindGuard.IsArray(schema)) {
    const [childName, childVariable] = [`${name}[]`, `${variable}_0`]
    if (isSecret(schema.items)) yield* walkKeys(schema.items, childName, childVariable, true)
    else yield* keysBelow(schema.items, childName, childVariable)
  }
}

/** A key as a part of a variable's name. `_` for a dash, because no shell sets a variable with a dash. */
export function variableName(key: string): string {
  return key.toUpperCase().replaceAll('-', '_')
}

export function schemaKeys(schema: TSchema): string[] {
  return [...walkKeys(schema)].map(key => key.name)
}

function isSecret(schema: TSchema): boolean {
  return annotations(schema).secret === true
}

/** Whether the value, or anything below it, is a secret. */
export function holdsSecret(schema: TSchema): boolean {
  if (isSecret(schema)) return true
  if (KindGuard.IsObject(schema)) return Object.values(schema.properties).some(holdsSecret)
  if (KindGuard.IsRecord(schema)) return holdsSecret(recordValue(schema))
  if (KindGuard.IsUnion(schema)) return schema.anyOf.some(holdsSecret)
  return KindGuard.IsArray(schema) && holdsSecret(schema.items)
}
