import { TransformDecode, Value } from '@sinclair/typebox/value'
import { advice, crossCheck } from './cross-check.ts'
import { type Circumstances, fillDefaults, isRecord } from './defaults.ts'
import { applyEnvironment, type Environment, fileVariable } from './environment.ts'
import { parseYaml } from './parse-yaml.ts'
import { ConfigError, type Problem, problemAt, showPlace } from './problem.ts'
import { fileLimit, readSecretFiles, readText } from './read-files.ts'
import { type Config, configSchema } from './schema.ts'
import { type Shaped, shape } from './shape.ts'
import { emptyMap, expandShorthand, isNull, type Node } from './tree.ts'
import { blank, forbid } from './unjudged.ts'
import { keyOfPointer, pointerOfKey, validate } from './validate.ts'

export interface LoadOptions {
  /** The configuration file; else the one that `REGISTRY_CONFIGURATION_PATH` names; else none. */
  file?: string
  /** The data folder; wins over file and environment. */
  dataDir?: string
  /** The environment, usually `process.env`. Nothing else of the process is looked at. */
  environment: Environment
}

export interface LoadedConfig {
  config: Config
  /** What to tell the operator at the start, one line each; no secrets. */
  warnings: readonly string[]
  sources: ConfigSources
}

export interface ConfigSources {
  file?: string
  /** Variables that override a key, sorted. */
  environment: readonly string[]
  /** Variables that begin with `REGISTRY_` and name no key. */
  ignored: readonly string[]
  /** Dotted keys that were written somewhere, e.g. `http.addr`; what is not among them is a default. */
  keys: ReadonlySet<string>
}

/** A configuration, whatever is wrong with it. */
export interface InspectedConfig extends Omit<LoadedConfig, 'config'> {
  /** Everything wrong with it, in the order of the file. */
  problems: readonly Problem[]
  /**
   * As far as it can be judged: reading a value that is wrong throws {@link Unjudged}. `undefined` where nothing can, as when
   * the file cannot be read.
   */
  config: Config | undefined
}

/**
 * File, then environment, then defaults; checked as a whole.
 *
 * @throws {ConfigError} with every problem there is
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { problems, config, warnings, sources } = await inspectConfig(options)
  if (problems.length > 0 || config === undefined) throw new ConfigError(problems)
  return { config: freeze(config), warnings, sources }
}

/** {@link loadConfig} for somebody who has more to find wrong. */
export async function inspectConfig(options: LoadOptions): Promise<InspectedConfig> {
  const { environment } = options
  const file = options.file ?? (environment[fileVariable] || undefined)
  const tree = await readTree(file)
  const secrets = await readSecretFiles(configSchema, environment)
  const overridden = applyEnvironment(structuredClone(tree.root), configSchema, environment, secrets.contents)
  const warnings = overridden.warnings
  const shaped = shape(overridden.root, configSchema)
  warnings.push(...shaped.warnings)
  const loglevel = shaped.places.get('/loglevel')
  if (loglevel !== undefined) {
    warnings.push(`${showPlace(loglevel)}: loglevel is deprecated; write log.level`)
    if (!shaped.places.has('/log/level')) shaped.places.set('/log/level', loglevel)
  }

  const problems = [...tree.problems, ...secrets.problems, ...overridden.problems, ...shaped.problems]
  const config = complete(shaped, problems, {
    unread: tree.unread,
    file: file === undefined ? undefined : tree.root,
    dataDir: options.dataDir,
    environment
  })
  warnings.push(...advice(config))
  const keys = new Set([...shaped.places.keys()].filter(pointer => pointer !== '').map(keyOfPointer))
  const used = { environment: overridden.used, ignored: overridden.ignored, keys }
  const sources = { ...(file === undefined ? {} : { file }), ...used }
  return { problems: problems.toSorted(inOrder), config: tree.unread ? undefined : config, warnings, sources }
}

/** A file as it was written. */
interface Tree {
  root: Node
  problems: Problem[]
  /** Nothing of it could be read, so that defaults say nothing of what is wanted. */
  unread: boolean
}

async function readTree(file: string | undefined): Promise<Tree> {
  const root = emptyMap({ source: file ?? 'configuration' })
  if (file === undefined) return { root, problems: [], unread: false }
  const read = await readText(file, fileLimit)
  if ('failure' in read)
    return { root, problems: [problemAt({ source: file }, `cannot read the file: ${read.failure}`)], unread: true }
  const parsed = parseYaml(read.text, file)
  if (parsed.problems.length > 0) return { root, problems: parsed.problems, unread: true }
  const problems: Problem[] = []
  const found = parsed.root ?? root
  if (found.kind !== 'map') {
    if (!isNull(found))
      return {
        root,
        problems: [problemAt(found.place, 'a configuration is keys and values, such as version: 0.1')],
        unread: true
      }
  } else {
    for (const [key, node] of found.entries) found.entries.set(key, expandShorthand(key, node))
  }
  if (found.kind !== 'map' || !found.entries.has('version')) {
    problems.push(problemAt({ source: file }, 'version is missing; write version: 0.1 at its top', 'version'))
  }
  return { root: found.kind === 'map' ? found : root, problems, unread: false }
}

/** The order of the file, so that an operator can go through it once; variables last. */
function inOrder(a: Problem, b: Problem): number {
  const [lineOfA, lineOfB] = [a, b].map(problem => problem.place?.line ?? Number.MAX_SAFE_INTEGER)
  return (lineOfA ?? 0) - (lineOfB ?? 0)
}

/** The checked configuration; problems that are found are added. What is wrong or was not meant so throws when it is read. */
function complete(shaped: Shaped, problems: Problem[], circumstances: Circumstances & Pick<Tree, 'unread'>): Config {
  const value = shaped.value ?? {}
  if (isRecord(value)) fillDefaults(value, circumstances)
  const defaulted: unknown = Value.Default(configSchema, value)
  const found = validate(configSchema, defaulted, shaped.places)
  const wrong = new Set(found.keys())
  for (const { key } of problems) if (key !== undefined) wrong.add(pointerOfKey(key))
  for (const key of shaped.meant) if (!shaped.places.has(pointerOfKey(key))) wrong.add(pointerOfKey(key))
  problems.push(...found.values())
  blank(defaulted, found.keys())
  // Of this type but for what throws.
  const config = TransformDecode(configSchema, [], defaulted) as Config
  forbid(config, wrong)
  const crossed = circumstances.unread ? [] : crossCheck(config, shaped.places)
  problems.push(...crossed)
  forbid(
    config,
    crossed.flatMap(({ key }) => (key === undefined ? [] : [pointerOfKey(key)]))
  )
  return config
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) freeze(child)
    Object.freeze(value)
  }
  return value
}
