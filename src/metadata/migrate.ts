import { countUsage } from './count-usage.ts'
import type { Level } from './database.ts'
import { keys } from './keys.ts'
import { referenceUpgrade } from './reference-upgrade.ts'

/** Form of keys and values this program reads and writes. Raise it with a migration from the one before. */
export const schemaVersion = 3

/** One step from a schema to the next. */
export interface Migration {
  /** The schema it starts from; it ends at `from + 1`. */
  readonly from: number
  /** May be run again after a crash in its middle. */
  run(level: Level): Promise<void>
}

/** Every step there is, oldest first. */
export const migrations: readonly Migration[] = [countUsage, referenceUpgrade]

/** The data was written by a newer Pinnace, or is not Pinnace's. Nothing was changed. */
export class SchemaUnsupported extends Error {
  override readonly name = 'SchemaUnsupported'
}

export interface MigrateInit {
  /** Default {@link schemaVersion}. */
  version?: number
  /** Default {@link migrations}. */
  migrations?: readonly Migration[]
}

/**
 * Brings an open database to this program's schema; an empty one is stamped with it. Each step is durable before the
 * next begins.
 *
 * @throws {SchemaUnsupported}
 */
export async function migrate(level: Level, init: MigrateInit = {}): Promise<void> {
  const target = init.version ?? schemaVersion
  const steps = init.migrations ?? migrations
  let version = await storedVersion(level)
  if (version === undefined) return stamp(level, target)
  if (version > target) {
    throw new SchemaUnsupported(
      `the metadata has schema ${version} and this Pinnace knows schemas up to ${target}: use a newer Pinnace`
    )
  }
  for (; version < target; version++) {
    const from = version
    const step = steps.find(candidate => candidate.from === from)
    if (step === undefined) {
      throw new SchemaUnsupported(
        `the metadata has schema ${from} and this Pinnace, of schema ${target}, has no migration from it`
      )
    }
    await step.run(level)
    await stamp(level, from + 1)
  }
}

/** `undefined` for an empty database. */
async function storedVersion(level: Level): Promise<number | undefined> {
  const text = await level.get(keys.schema)
  if (text !== undefined && /^[1-9]\d{0,8}$/.test(text)) return Number(text)
  if (text !== undefined) throw new SchemaUnsupported(`the metadata's schema ${JSON.stringify(text)} is not a number`)
  const [first] = await level.keys({ limit: 1 }).all()
  if (first === undefined) return undefined
  throw new SchemaUnsupported('the database has no schema number: it was not written by Pinnace')
}

async function stamp(level: Level, version: number): Promise<void> {
  const durably: { valueEncoding: string; sync: boolean } = { valueEncoding: 'utf8', sync: true }
  await level.batch<string, string>([{ type: 'put', key: keys.schema, value: String(version) }], durably)
}
