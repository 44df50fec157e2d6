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
  /** The variable that overrides it, written so that a shell can set it. */
  variable: string
  schema: TSchema
  optional: boolean
}

/** Every key below a schema, in the schema's order; sections themselves included. */
export function* walkKeys(schema: TSchema, name = '', variable = 'REGISTRY', optional = false): Generator<Key> {
  if (name !== '') yield { name, variable, schema, optional }
  if (KindGuard.IsObject(schema)) {
    for (const [key, child] of Object.entries(schema.properties)) {
      const childName = name === '' ? key : `${name}.${key}`
      yield* walkKeys(child, childName, `${variable}_${variableName(key)}`, KindGuard.IsOptional(child))
    }
    return
  }
  const entry = listOf(schema)?.items
  if (entry === undefined || !KindGuard.IsObject(entry)) return
  for (const [key, child] of Object.entries(entry.properties)) {
    yield* walkKeys(child, `${name}[].${key}`, `${variable}_0_${variableName(key)}`, KindGuard.IsOptional(child))
  }
}

/** A key as a part of a variable's name. `_` for a dash, because no shell sets a variable with a dash. */
export function variableName(key: string): string {
  return key.toUpperCase().replaceAll('-', '_')
}

export function schemaKeys(schema: TSchema): string[] {
  return [...walkKeys(schema)].map(key => key.name)
}

/** Whether the value, or anything below it, is a secret. */
export function holdsSecret(schema: TSchema): boolean {
  if (annotations(schema).secret === true) return true
  if (KindGuard.IsObject(schema)) return Object.values(schema.properties).some(holdsSecret)
  const entry = listOf(schema)?.items
  return entry === undefined ? false : holdsSecret(entry)
}
