import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { walkKeys } from '../../src/config/keys.ts'
import { configSchema, renderReference } from '../../src/config.ts'

const root = new URL('../../', import.meta.url)

it('docs/configuration.md is what the schema says', async () => {
  expect(await readFile(new URL('docs/configuration.md', root), 'utf8')).toBe(renderReference())
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('scripts/docs.ts', root)), '--check'])
})

it('has every key and variable once, and a whole table', () => {
  const rows = renderReference()
    .split('\n')
    .filter(line => line.startsWith('| `'))
  for (const key of walkKeys(configSchema)) {
    if (key.schema.type === 'object' && key.schema.properties !== undefined) continue
    expect(
      rows.filter(row => row.startsWith(`| \`${key.name}\` |`)),
      key.name
    ).toHaveLength(1)
  }
  for (const row of rows) {
    expect(row.split(/(?<!\\)\|/), row).toHaveLength(7)
    expect(row).not.toMatch(/undefined|\[object|\| +\|/)
  }
})
