import { KindGuard, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { stringify } from 'yaml'
import { isRecord } from './defaults.ts'
import { annotations } from './fields.ts'
import { redacted } from './formats.ts'
import { listOf } from './keys.ts'
import { type Config, configSchema } from './schema.ts'

/** The whole configuration as YAML that `loadConfig` reads back to the same, with a mark in place of each secret. */
export function printConfig(config: Config): string {
  const encoded: unknown = Value.Encode(configSchema, structuredClone(config))
  const printable = present(encoded, configSchema)
  if (!isRecord(printable)) throw new TypeError('not a configuration')
  // `0.1`, as everyone writes it, not `"0.1"`.
  return stringify({ ...printable, version: Number(config.version) }, { lineWidth: 0 })
}

function present(value: unknown, schema: TSchema): unknown {
  if (annotations(schema).secret === true) return redacted
  if (Array.isArray(value)) {
    const entry = listOf(schema)?.items
    const items = entry === undefined ? value : value.map(item => present(item, entry))
    return annotations(schema).single === true && items.length === 1 ? items[0] : items
  }
  if (!isRecord(value) || !KindGuard.IsObject(schema)) return value
  const entries = Object.entries(schema.properties)
    .filter(([key]) => value[key] !== undefined)
    .map(([key, child]) => [key, present(value[key], child)])
  return Object.fromEntries(entries)
}
