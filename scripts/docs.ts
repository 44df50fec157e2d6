/**
 * Writes docs/configuration.md from the schema; with `--check` only says whether it is current (exit code 1 when not).
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { renderReference } from '../src/config.ts'

const file = new URL('../docs/configuration.md', import.meta.url)
const text = renderReference()

if (!process.argv.includes('--check')) {
  await writeFile(file, text)
} else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
  console.error('docs/configuration.md is not what the schema says; run: npm run docs')
  process.exitCode = 1
}
