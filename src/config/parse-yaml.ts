import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap
} from 'yaml'
import { type Place, type Problem, problemAt, showKey } from './problem.ts'
import { emptyMap, type ListNode, type MapNode, type Node, type ScalarNode } from './tree.ts'

/** Bounds on what is a configuration at all; a hundred times what the largest real one needs. */
export const yamlLimits = { tokens: 50_000, nodes: 10_000, depth: 40 } as const

export interface ParsedYaml {
  /** Absent when the text is empty or there are problems. */
  root?: Node
  problems: Problem[]
}

const noAnchor = 'this alias names no anchor; a text that begins with * needs quotes, such as "**"'

/**
 * What the parser's codes mean to an operator. Its own messages are never shown: they quote the source, which may hold
 * a secret.
 */
const meanings: Record<string, string> = {
  ALIAS_PROPS: 'an alias takes no tag or anchor of its own',
  BAD_ALIAS: noAnchor,
  BAD_INDENT: 'the indentation does not fit the lines around it, or a bracket is not closed',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two keys on one line, or a text with ": " in it that needs quotes',
  DUPLICATE_KEY: 'a key is given twice',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines',
  MULTIPLE_ANCHORS: 'a value has two anchors',
  MULTIPLE_DOCS: 'there is a second document; a configuration is one',
  MULTIPLE_TAGS: 'a value has two tags',
  RESOURCE_EXHAUSTION: `nested deeper than ${yamlLimits.depth} levels`,
  TAB_AS_INDENT: 'tabs do not indent YAML; use spaces',
  UNEXPECTED_TOKEN: 'something here does not belong: look for a stray bracket, quote or indentation'
}

class Unreadable extends Error {
  readonly place: Place

  constructor(message: string, place: Place) {
    super(message)
    this.place = place
  }
}

/**
 * Reads one YAML document into a tree with line numbers. Never throws for bad input, and takes time and memory in
 * proportion to the text however aliases multiply it.
 *
 * @param source name for messages: the file, or an environment variable (then lines are left out)
 */
export function parseYaml(text: string, source: string, options: { lines: boolean } = { lines: true }): ParsedYaml {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place =>
    options.lines ? { source, line: lines.linePos(offset).line || 1 } : { source }
  const excess = beyondLimits(text)
  if (excess !== undefined) return { problems: [problemAt({ source }, excess)] }
  try {
    // Its check of unique keys is quadratic (4 minutes for 100,000 lines); reader() has its own.
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      // 'silent' would pass over a second document; nothing is logged by parseDocument.
      logLevel: 'error',
      uniqueKeys: false,
      version: '1.2'
    })
    const first = document.errors[0]
    if (first !== undefined) {
      const meaning = meanings[first.code] ?? 'this is not valid YAML'
      return { problems: [problemAt(placeAt(first.pos[0]), `not readable as YAML: ${meaning}`)] }
    }
    return document.contents === null ? { problems: [] } : { root: reader(document, placeAt)(), problems: [] }
  } catch (error) {
    if (error instanceof Unreadable) return { problems: [problemAt(error.place, error.message)] }
    if (error instanceof RangeError)
      return { problems: [problemAt({ source }, 'not readable as YAML: nested too deep')] }
    throw error
  }
}

/** The parser recurses and collects an error a token, so hostile text is turned away by the (linear) lexer first. */
function beyondLimits(text: string): string | undefined {
  let tokens = 0
  let flow = 0
  for (const token of new Lexer().lex(text)) {
    if (++tokens > yamlLimits.tokens) return 'not a configuration: too many YAML tokens'
    if (token === '[' || token === '{') flow++
    if (token === ']' || token === '}') flow--
    if (flow > yamlLimits.depth) return `not readable as YAML: nested deeper than ${yamlLimits.depth} levels`
  }
  return undefined
}

function reader(document: Document, placeAt: (offset: number) => Place): () => Node {
  const anchors = new Map<string, unknown>()
  let nodes = 0

  function read(item: unknown, depth: number, parent: Place): Node {
    const place = placeOf(item, parent)
    if (++nodes > yamlLimits.nodes)
      throw new Unreadable('not a configuration: its aliases and values are too many', place)
    if (depth > yamlLimits.depth) throw new Unreadable(`nested deeper than ${yamlLimits.depth} levels`, place)
    if (isAlias(item)) {
      if (!anchors.has(item.source)) throw new Unreadable(noAnchor, place)
      return read(anchors.get(item.source), depth + 1, place)
    }
    if ((isMap(item) || isSeq(item) || isScalar(item)) && item.anchor !== undefined) anchors.set(item.anchor, item)
    if (isMap(item)) return readMap(item, depth, place)
    if (isSeq(item)) return readList(item.items, depth, place)
    return isScalar(item) ? readScalar(item, place) : readScalar(undefined, place)
  }

  function readList(items: readonly unknown[], depth: number, place: Place): ListNode {
    return { kind: 'list', items: items.map(item => read(item, depth + 1, place)), place }
  }

  function readMap(map: YAMLMap, depth: number, place: Place): MapNode {
    const result = emptyMap(place)
    const merged: MapNode[] = []
    for (const pair of map.items) {
      const key = keyOf(pair, place)
      const keyPlace = placeOf(pair.key, place)
      const value = { ...read(pair.value, depth + 1, keyPlace), place: keyPlace }
      if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        merged.push(...mergeSources(value))
        continue
      }
      if (result.entries.has(key)) throw new Unreadable(`${showKey(key)} is given twice`, keyPlace)
      result.entries.set(key, value)
    }
    for (const source of merged) {
      for (const [key, value] of source.entries) if (!result.entries.has(key)) result.entries.set(key, value)
    }
    return result
  }

  function keyOf(pair: Pair, place: Place): string {
    if (isScalar(pair.key)) return readScalar(pair.key, place).text
    throw new Unreadable('a key must be a word', placeOf(pair.key, place))
  }

  function placeOf(item: unknown, parent: Place): Place {
    if (!(isAlias(item) || isMap(item) || isSeq(item) || isScalar(item)) || !item.range) return parent
    return placeAt(item.range[0])
  }

  return () => read(document.contents, 0, placeAt(0))
}

/** What `<<` brings in: a map, or several of which the earlier wins. */
function mergeSources(value: Node): MapNode[] {
  const sources = value.kind === 'list' ? value.items : [value]
  return sources.map(source => {
    if (source.kind !== 'map') throw new Unreadable('<< merges maps only', value.place)
    return source
  })
}

function readScalar(scalar: Scalar | undefined, place: Place): ScalarNode {
  if (scalar === undefined) return { kind: 'scalar', value: null, text: '', plain: true, place }
  const plain = scalar.type === 'PLAIN' && scalar.tag === undefined
  const { value } = scalar
  if (plain && (value === null || typeof value === 'number' || typeof value === 'boolean')) {
    return { kind: 'scalar', value, text: scalar.source ?? String(value), plain, place }
  }
  const text = typeof value === 'string' ? value : (scalar.source ?? String(value))
  return { kind: 'scalar', value: text, text, plain, place }
}
