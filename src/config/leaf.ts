import { KindGuard, type TSchema } from '@sinclair/typebox'
import { annotations } from './fields.ts'
import type { ScalarNode } from './tree.ts'

/** Booleans of YAML 1.1, which Go's reader knows and YAML 1.2 reads as text. */
const switches: Readonly<Record<string, boolean>> = { y: true, yes: true, on: true, n: false, no: false, off: false }

/** Whether a value of this schema can be any text, so that a variable of the environment need not be YAML. */
export function takesText(schema: TSchema): boolean {
  if (KindGuard.IsUnion(schema)) return schema.anyOf.some(takesText)
  return KindGuard.IsString(schema) || KindGuard.IsLiteral(schema)
}

/** A scalar as the schema's kind; what does not fit stays as it is. `undefined` for null, which means unset. */
export function readLeaf(node: ScalarNode, schema: TSchema): unknown {
  if (node.value === null) return undefined
  if (KindGuard.IsBoolean(schema)) {
    const written = typeof node.value === 'string' && node.plain ? switches[node.text.toLowerCase()] : undefined
    return written ?? node.value
  }
  if (KindGuard.IsInteger(schema)) return node.value
  if (KindGuard.IsUnion(schema) && schema.anyOf.some(option => KindGuard.IsNumber(option))) {
    // A number that JavaScript cannot hold exactly stays what was written.
    const exact = typeof node.value !== 'number' || !Number.isInteger(node.value) || Number.isSafeInteger(node.value)
    return exact && !Object.is(node.value, -0) ? node.value : node.text
  }
  return annotations(schema).lowercase === true ? node.text.toLowerCase() : node.text
}
