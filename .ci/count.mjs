// Prints, from the report of vitest's JSON reporter, what was not run and then "N passed, N failed, N skipped". Exits
// with 1 if anything failed, nothing passed, or something was left out because a foreign program is missing. Runs on
// any Node, so that it works where the dependencies could not be installed.
import { readFileSync } from 'node:fs'

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`)
    return { testResults: [], success: false }
  }
}

const report = read(process.argv[2])
const left = report.testResults
  .flatMap(file => file.assertionResults)
  .filter(test => test.status !== 'passed' && test.status !== 'failed')
for (const test of left) console.log(`not run: ${test.fullName}`)
// The words that describeWithTools puts into the title of what it skips.
const lacking = left.filter(test => test.fullName.includes('(needs '))
const statuses = report.testResults.flatMap(file => {
  const tests = file.assertionResults.map(test => test.status)
  // A file that could not be loaded has no tests to fail; it is one failure itself.
  return file.status === 'failed' && !tests.includes('failed') ? [...tests, 'failed'] : tests
})
const passed = statuses.filter(status => status === 'passed').length
const failed = statuses.filter(status => status === 'failed').length
console.log(`${passed} passed, ${failed} failed, ${statuses.length - passed - failed} skipped`)
process.exitCode = passed > 0 && failed === 0 && lacking.length === 0 && report.success ? 0 : 1
