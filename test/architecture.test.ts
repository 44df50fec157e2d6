/** Holds the direction of imports and the form of the source that the architecture document promises. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../src', import.meta.url))

/**
 * Every layer with what it may import: `main → cli → node → {adapters} → registry, access → oci → errors`. An adapter
 * knows the use cases and what is below them, never another adapter.
 */
const core = ['registry', 'access', 'oci', 'errors', 'file-access']
const adapters = [
  'http',
  'ipfs',
  'storage',
  'metadata',
  'queue',
  'credentials',
  'audit',
  'acme',
  'sources',
  'federation',
  'pins'
] as const
const layers: Readonly<Record<string, readonly string[]>> = {
  main: ['cli'],
  cli: ['node', 'config', 'data-folder', ...adapters, 'egress', 'file-watch', ...core],
  node: ['config', 'data-folder', ...adapters, 'egress', 'file-watch', ...core],
  config: ['access', 'oci', 'errors'],
  'data-folder': ['file-access'],
  ...Object.fromEntries(adapters.map(name => [name, ['egress', 'file-watch', ...core]])),
  registry: ['access', 'oci', 'errors'],
  access: ['oci', 'errors'],
  // The one way out (invariant 12), below every adapter that calls somebody.
  egress: ['errors'],
  // Credentials, certificates and rules are all files that are followed.
  'file-watch': ['registry'],
  oci: ['errors'],
  errors: [],
  // What the system refuses and why, for whoever opens a file that the operator named.
  'file-access': []
}

/** Files at the top of `src/` that belong to a layer of another name. */
const ofLayer: Readonly<Record<string, string>> = {
  'data-folder-access.ts': 'data-folder',
  'data-folder-identity.ts': 'data-folder',
  'data-folder-lock.ts': 'data-folder',
  'process-identity.ts': 'data-folder'
}

/** What can reach a disk, a network or another process. */
const inputAndOutput = /^node:(?:fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)(?:\/|$)/

/** Packages that one layer alone may know, so that the rest does not depend on them. */
const owners: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(?:helia|libp2p|@helia\/.+|@libp2p\/.+|@chainsafe\/.+|blockstore-.+|datastore-.+)$/, ['ipfs']],
  [/^(?:level|classic-level|abstract-level)$/, ['metadata', 'queue']],
  [/^(?:fastify|@fastify\/.+|prom-client)$/, ['http']],
  [/^(?:commander|cli-progress|pino.*)$/, ['cli']],
  [/^(?:yaml|ajv.*|fastest-levenshtein)$/, ['config']],
  [/^@sinclair\/typebox(?:\/.+)?$/, ['config', 'http']],
  [/^(?:jose|@node-rs\/bcrypt)$/, ['credentials']],
  [/^acme-client$/, ['acme']]
]

/**
 * Whoever calls somebody else over HTTP goes through `egress/` (invariant 12). The command line alone talks to the node of
 * this machine over its own sockets.
 */
const ownCallers = ['cli/socket-transport.ts', 'cli/commands/health.ts']
const httpClients = /^(?:undici|axios|got|ky|node-fetch|needle|superagent|follow-redirects|http2?|https)(?:\/|$)/
const clientNames = /^(?:request|get|Agent|globalAgent|ClientRequest|connect|setGlobalProxyFromEnv)$/

/** How a file calls out by itself; empty where it does not. */
function callsOut({ path, text }: { path: string; text: string }): string[] {
  if (path.startsWith('egress/') || ownCallers.includes(path)) return []
  const code = withoutComments(text)
  const found = importsOf(text).filter(specifier => httpClients.test(specifier))
  for (const [statement, clause = ''] of code.matchAll(
    /\bimport\s+([^'"`;]*?)\s+from\s*['"]node:(?:https?|http2)['"]/g
  )) {
    if (clause.startsWith('type ')) continue
    const named = /^\{([\s\S]*)\}$/.exec(clause)
    if (named === null) found.push(statement)
    const names = (named?.[1] ?? '').split(',').map(name => name.trim())
    found.push(...names.filter(name => clientNames.test(name.split(/\s+as\s+/)[0] ?? '')))
  }
  if (/\bimport\s*\(\s*['"`]node:https?['"`]/.test(code)) found.push('import()')
  if (/(?<![\w.#$])(?:globalThis\.)?fetch\(|\bnew (?:WebSocket|EventSource)\(/.test(code)) found.push('fetch(')
  return found.map(what => `${path}: ${what}`)
}

interface Source {
  /** From `src/`, with slashes. */
  path: string
  text: string
  imports: string[]
}

/** `import … from`, `export … from`, `import '…'`, `import('…')`, and the files that threads are started from. */
function importsOf(text: string): string[] {
  const code = withoutComments(text)
  const forms = [
    /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /\bimport\s*['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\brequire\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\bnew URL\(\s*['"`](\.[^'"`]+\.[jt]s)['"`]\s*,\s*import\.meta\.url/g
  ]
  return forms.flatMap(form => [...code.matchAll(form)].map(match => match[1] ?? ''))
}

/** Documentation and comments that have lines of their own. */
function withoutComments(text: string): string {
  return text
    .replace(/^\s*\/\*[\s\S]*?\*\//gm, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\n{2,}/g, '\n')
}

function layerOf(path: string): string {
  const first = path.split('/')[0] ?? ''
  return ofLayer[first] ?? first.replace(/\.ts$/, '')
}

/** Why this import is against the direction; `undefined` when it is not. */
function offence(from: string, specifier: string): string | undefined {
  const layer = layerOf(from)
  const allowed = layers[layer]
  if (allowed === undefined) return `${from}: the layer "${layer}" is in no table`
  if (!specifier.startsWith('.')) return foreignOffence(from, layer, specifier)
  const target = relative('.', join(dirname(from), specifier))
  if (target.startsWith('..'))
    return target === '../package.json' ? undefined : `${from} imports ${target}, outside src`
  const to = layerOf(target)
  if (to === layer || allowed.includes(to)) return undefined
  return `${from} imports ${target}: ${layer} may not know ${to}`
}

function foreignOffence(from: string, layer: string, specifier: string): string | undefined {
  const pure = layer === 'oci' || layer === 'errors' || layer === 'access' || layer === 'registry'
  if (pure && inputAndOutput.test(specifier)) return `${from} imports ${specifier}: ${layer} does no I/O of its own`
  const owner = owners.find(([pattern]) => pattern.test(specifier))
  if (owner === undefined || owner[1].includes(layer)) return undefined
  return `${from} imports ${specifier}, which only ${owner[1].join(', ')} may know`
}

describe('the source', () => {
  let sources: Source[] = []
  beforeAll(async () => {
    const paths = (await readdir(root, { recursive: true })).filter(path => path.endsWith('.ts'))
    sources = await Promise.all(
      paths.map(async path => {
        const text = await readFile(join(root, path), 'utf8')
        return { path: path.replaceAll('\\', '/'), text, imports: importsOf(text) }
      })
    )
  })

  it('is read as it is: known imports are found', () => {
    expect(sources.length).toBeGreaterThan(150)
    expect(sources.flatMap(source => source.imports).length).toBeGreaterThan(500)
    const importsIn = (path: string) => sources.find(source => source.path === path)?.imports
    expect(importsIn('node.ts')).toEqual(expect.arrayContaining(['./storage/open-storage.ts', './node/serve.ts']))
    expect(importsIn('main.ts')).toEqual(expect.arrayContaining([expect.stringMatching(/^\.\/cli\//)]))
    expect(importsIn('storage/hash-pool.ts')).toContain('./hash-thread.ts')
  })

  it.each([
    ['oci/digest.ts', '../registry/ports.ts'],
    ['oci/digest.ts', 'node:fs/promises'],
    ['errors.ts', './oci/digest.ts'],
    ['access/authorize.ts', '../registry/ports.ts'],
    ['registry/index.ts', '../http/app.ts'],
    ['registry/index.ts', '../metadata/open.ts'],
    ['registry/index.ts', '../config.ts'],
    ['registry/index.ts', 'node:http'],
    ['storage/open-storage.ts', '../metadata/open.ts'],
    ['ipfs/ipfs.ts', '../http/app.ts'],
    ['http/app.ts', '../ipfs/ipfs.ts'],
    ['http/app.ts', '../config.ts'],
    ['http/app.ts', '../data-folder.ts'],
    ['http/endpoints/get-blob.ts', '../../node.ts'],
    ['node/serve.ts', '../cli/run.ts'],
    ['config/load.ts', '../node.ts'],
    ['main.ts', './node.ts'],
    ['registry/index.ts', 'helia'],
    ['storage/open-storage.ts', 'level'],
    ['surprise/new.ts', '../errors.ts'],
    ['main.ts', '../test/http/serve.ts']
  ])('%s importing %s would be found out', (from, specifier) => {
    expect(offence(from, specifier)).toBeTypeOf('string')
  })

  it('imports only in the one direction', () => {
    const offences = sources.flatMap(({ path, imports }) =>
      imports.flatMap(specifier => offence(path, specifier) ?? [])
    )
    expect(offences).toEqual([])
  })

  it.each([
    "import { request } from 'node:https'",
    "import { createServer, get as ask } from 'node:http'",
    "import http from 'node:http'",
    "import * as http from 'node:https'",
    "import { fetch } from 'undici'",
    "import axios from 'axios'",
    "const { get } = await import('node:http')",
    'await fetch(url)',
    'globalThis.fetch(url)'
  ])('a call past the egress rule would be found out: %s', text => {
    expect(callsOut({ path: 'pins/new.ts', text })).not.toEqual([])
  })

  it('calls nobody but through egress', () => {
    expect(sources.filter(({ path }) => ownCallers.includes(path))).toHaveLength(ownCallers.length)
    expect(sources.flatMap(callsOut)).toEqual([])
  })

  it('has files of one subject: at most 250 lines, documentation not counted', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: withoutComments(text).trim().split('\n').length }))
      .filter(({ lines }) => lines > 250)
    expect(long).toEqual([])
  })

  it('has no drawer for everything and no name that says nothing', () => {
    const empty = /^(?:utils?|helpers?|common|misc|shared|impl|managers?)$/i
    const paths = sources.filter(({ path }) =>
      path
        .split('/')
        .some(part => empty.test(part.replace(/\.ts$/, '')) || /-(?:impl|manager|utils?|helpers?)\.ts$/.test(part))
    )
    expect(paths.map(({ path }) => path)).toEqual([])
    const classes = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/\b(?:class|interface|type)\s+(\w*(?:Impl|Manager|Helper|Utils?))\b/g)].map(
        match => `${path}: ${match[1]}`
      )
    )
    expect(classes).toEqual([])
  })

  it('gives nothing up: no any, no doubled assertion, no silenced checker, no note to do it later', () => {
    const given = /(?::\s*|\bas\s+|<)any\b(?!\s+[a-z])|\bas unknown as\b/
    const later = /\b(?:TODO|FIXME|XXX|HACK)\b/
    const found = sources.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, at) => {
        const code = /^\s*(?:\*|\/\/|\/\*)/.test(line) ? '' : line
        return given.test(code) || later.test(line) || /@ts-(?:ignore|nocheck|expect-error)/.test(line)
          ? [`${path}:${at + 1} ${line.trim()}`]
          : []
      })
    )
    expect(found).toEqual([])
  })

  it('names every file by its words, and the entry alone is main', () => {
    const odd = sources.filter(({ path }) => !/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(basename(path)))
    expect(odd.map(({ path }) => path)).toEqual([])
    expect(sources.filter(({ imports }) => imports.some(specifier => /\/main\.ts$/.test(specifier)))).toEqual([])
  })
})
