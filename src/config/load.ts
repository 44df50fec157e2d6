import { Value } from '@sinclair/typebox/value'
import { advice, crossCheck } from './cross-check.ts'
import { fillDefaults, isRecord } from './defaults.ts'
import { applyEnvironment, type Environment, fileVariable } from './environment.ts'
import { parseYaml } from './parse-yaml.ts'
import { ConfigError, type Problem, problemAt, showPlace } from './problem.ts'
import { fileLimit, readSecretFiles, readText } from './read-files.ts'
import { type Config, configSchema } from './schema.ts'
import { type Shaped, shape } from './shape.ts'
import { emptyMap, expandShorthand, isNull, type Node } from './tree.ts'
import { keyOfPointer, validate } from './validate.ts'

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

/**
 * File, then environment, then defaults; checked as a whole.
 *
 * @throws {ConfigError} with every problem there is
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
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
    file: file === undefined ? undefined : tree.root,
    dataDir: options.dataDir,
    environment
  })
  if (config === undefined) throw new ConfigError(problems.toSorted(inOrder))
  warnings.push(...advice(config))
  const keys = new Set([...shaped.places.keys()].filter(pointer => pointer !== '').map(keyOfPointer))
  const sources = {
    ...(file === undefined ? {} : { file }),
    environment: overridden.used,
    ignored: overridden.ignored,
    keys
  }
  return { config, warnings, sources }
}

async function readTree(file: string | undefined): Promise<{ root: Node; problems: Problem[] }> {
  const root = emptyMap({ source: file ?? 'configuration' })
  if (file === undefined) return { root, problems: [] }
  const read = await readText(file, fileLimit)
  if ('failure' in read)
    return { root, problems: [problemAt({ source: file }, `cannot read the file: ${read.failure}`)] }
  const parsed = parseYaml(read.text, file)
  if (parsed.problems.length > 0) return { root, problems: parsed.problems }
  const problems: Problem[] = []
  const found = parsed.root ?? root
  if (found.kind !== 'map') {
    if (!isNull(found))
      return { root, problems: [problemAt(found.place, 'a configuration is keys and values, such as version: 0.1')] }
  } else {
    for (const [key, node] of found.entries) found.entries.set(key, expandShorthand(key, node))
  }
  if (found.kind !== 'map' || !found.entries.has('version')) {
    problems.push(problemAt({ source: file }, 'version is missing; write version: 0.1 at its top', 'version'))
  }
  return { root: found.kind === 'map' ? found : root, problems }
}

/** The order of the file, so that an operator can go through it once; variables last. */
function inOrder(a: Problem, b: Problem): number {
  const [lineOfA, lineOfB] = [a, b].map(problem => problem.place?.line ?? Number.MAX_SAFE_INTEGER)
  return (lineOfA ?? 0) - (lineOfB ?? 0)
}

/** The checked configuration, or `undefined` when there are problems, which are added. */
function complete(
  shaped: Shaped,
  problems: Problem[],
  circumstances: Parameters<typeof fillDefaults>[1]
): Config | undefined {
  const value = shaped.value ?? {}
  if (isRecord(value)) fillDefaults(value, circumstances)
  const defaulted: unknown = Value.Default(configSchema, value)
  const found = validate(configSchema, defaulted, shaped.places)
  problems.push(...found)
  if (found.length > 0) return undefined
  const config: Config = Value.Decode(configSchema, defaulted)
  problems.push(...crossCheck(config, shaped.places))
  return problems.length === 0 ? freeze(config) : undefined
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) freeze(child)
    Object.freeze(value)
  }
  return value
}
