/**
 * The vocabulary of the schema: every kind of value a key may have, with what an operator is told when it has not.
 *
 * @module
 */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { readDuration, showDuration } from './duration.ts'
import './formats.ts'
import { readSize, readSizeOrShare, showSize, showSizeOrShare } from './size.ts'

/** What our schemas say beyond JSON Schema. */
export interface Annotations {
  description?: string
  /** Name of the kind of value, for messages and the reference: `a duration`. */
  noun?: string
  /** How to write one: `10s, 1h30m or 168h`. */
  write?: string
  /** What to write when the key is missing, where that is no matter of form. */
  missing?: string
  /** Never shown; may come from the file that `<NAME>_FILE` names. */
  secret?: boolean
  /** The text is read in lower case. */
  lowercase?: boolean
  /** Its mere name asks for a guarded door: with nothing under it, it is wrong or at least told of, not just absent. */
  guard?: boolean
  /** A list of one is written without brackets. */
  single?: boolean
  /** For the reference, where the default depends on something. */
  defaultNote?: string
  default?: unknown
}

export function annotations(schema: TSchema): Annotations {
  return schema
}

/** What a key says of itself. Without `default` the key is to be wrapped in `Type.Optional`. */
export interface KeyInit<T> {
  description: string
  default?: T
  defaultNote?: string
  missing?: string
}

/** A section: keys under a key. Always there in the result. */
export function section<P extends TProperties>(
  description: string,
  properties: P,
  init: Pick<Annotations, 'guard'> = {}
) {
  return Type.Object(properties, { ...init, additionalProperties: false, default: {}, description })
}

/** A section, or an entry of a list, that is only there when it was written. */
export function record<P extends TProperties>(
  description: string,
  properties: P,
  init: Pick<Annotations, 'guard'> = {}
) {
  return Type.Object(properties, { ...init, additionalProperties: false, description })
}

export function flag(init: KeyInit<boolean>) {
  return Type.Boolean({ ...init, noun: 'a switch', write: 'true or false' })
}

export function count(init: KeyInit<number> & { minimum: number; maximum: number }) {
  const noun = `a whole number from ${init.minimum} to ${init.maximum}`
  return Type.Integer({ ...init, noun, write: 'one without quotes' })
}

export function text(init: KeyInit<string>) {
  return Type.String({ ...init, format: 'no-nul', minLength: 1, noun: 'a text', write: 'some text' })
}

/** A path of the file system. */
export function path(init: KeyInit<string>) {
  return Type.String({ ...init, format: 'path', minLength: 1, noun: 'a path', write: 'the path of a file or folder' })
}

export function secret(init: KeyInit<string>) {
  return Type.String({
    ...init,
    format: 'secret',
    minLength: 1,
    secret: true,
    noun: 'a secret',
    write: 'it on one line'
  })
}

/** Names of repositories, with wildcards. */
export const repositoryPattern = Type.String({
  format: 'repository-pattern',
  noun: 'a repository pattern',
  write: 'one such as team/app, team/*-base or team/**; ** is every repository'
})

/** `noun` without article, e.g. `log level`. */
export function choice<const T extends readonly string[]>(noun: string, values: T, init: KeyInit<T[number]>) {
  const literals = values.map(value => Type.Literal<T[number]>(value))
  const union = Type.Union(literals, {
    ...init,
    lowercase: true,
    noun: `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`,
    write: values.join(', ')
  })
  // `StaticDecode` makes `never` of a union whose members are no tuple; the schema stays the union.
  return Type.Unsafe<T[number]>(union)
}

/** Decoded to whole milliseconds; may be longer than `setTimeout` takes (24.8 days). */
export function duration(init: KeyInit<string>) {
  const inner = Type.String({
    ...init,
    format: 'go-duration',
    noun: 'a duration',
    write: 'one such as 10s, 1h30m or 168h'
  })
  return Type.Transform(inner)
    .Decode(value => readDuration(value) ?? 0)
    .Encode(showDuration)
}

/** Decoded to bytes. */
export function size(init: KeyInit<string>) {
  const inner = Type.String({ ...init, format: 'byte-size', noun: 'a size', write: 'one such as 4MiB or 4194304' })
  return Type.Transform(inner)
    .Decode(value => readSize(value) ?? 0)
    .Encode(showSize)
}

/** Decoded to bytes, or to a part from 0 to 1 of something whose size is found out later. */
export function sizeOrShare(init: KeyInit<string>) {
  const inner = Type.String({
    ...init,
    format: 'size-or-share',
    noun: 'a size or share',
    write: 'one such as 1GiB or 5%'
  })
  return Type.Transform(inner)
    .Decode(value => readSizeOrShare(value) ?? 0)
    .Encode(showSizeOrShare)
}

/** Absolute `http` or `https` URL without credentials, query or fragment. */
export function url(init: KeyInit<string>) {
  const write = 'one such as https://registry.example.com, without user, password, query or fragment'
  return Type.String({ ...init, format: 'web-url', noun: 'a URL', write })
}

/** A list; in the file, one value without brackets is a list of one. */
export function list<T extends TSchema>(
  items: T,
  init: { description: string; default?: readonly unknown[]; defaultNote?: string; single?: boolean; minItems?: number }
) {
  return Type.Array(items, { ...init, noun: 'a list', write: 'its entries in [ ]' })
}
