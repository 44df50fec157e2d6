// Reads the JSON report of vitest and prints what was skipped and why, then `N passed, N failed, N skipped`.
// Exit code 1 where a test failed, where none ran, or where one was skipped because a foreign program is missing.
import { existsSync, readFileSync } from 'node:fs'

const [, , path = ''] = process.argv
if (!existsSync(path)) {
  console.log('vitest left no report: 0 tests are known to have run')
  process.exit(1)
}

const report = JSON.parse(readFileSync(path, 'utf8'))
const files = report.testResults ?? []
const tests = files.flatMap(file => file.assertionResults ?? [])
const having = (...statuses) => tests.filter(test => statuses.includes(test.status))

// A file that could not even be loaded has no failed test, but failed all the same.
const broken = files.filter(
  file => file.status === 'failed' && !(file.assertionResults ?? []).some(test => test.status === 'failed')
)
for (const file of broken) console.log(`not run: ${file.name}: ${String(file.message).split('\n', 1)[0]}`)

const passed = having('passed')
const failed = having('failed')
const skipped = having('skipped', 'pending', 'todo', 'disabled')
// The words of describeWithTools in test/interop/tools.ts.
const lacking = skipped.filter(test => test.fullName.includes('(needs '))
for (const test of failed) console.log(`failed: ${test.fullName}`)
for (const test of skipped) console.log(`skipped: ${test.fullName}`)
if (lacking.length > 0) console.log(`${lacking.length} skipped because a program is missing: not allowed here`)

const failures = failed.length + broken.length
console.log(`${passed.length} passed, ${failures} failed, ${skipped.length} skipped`)
process.exit(failures > 0 || lacking.length > 0 || passed.length === 0 ? 1 : 0)
