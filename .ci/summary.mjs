// Adds up what jest itself counted in every suite, names what failed, and prints "N passed, N failed" as the last line.
// Usage: summary.mjs DIR, where DIR holds NAME.json of each jest run, NAME.started, NAME.exit and NAME.failed of the rest.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const dir = process.argv[2]
const names = (ending) =>
  readdirSync(dir)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
const text = (file) => readFileSync(join(dir, file), 'utf8')

let passed = 0
let failed = 0
const lines = []

for (const step of names('.failed')) {
  failed++
  lines.push(`FAILED ${step}: ${text(`${step}.failed`).trim()}`)
}
for (const suite of names('.started')) {
  const result = readResult(suite)
  if (result === undefined) {
    failed++
    lines.push(`FAILED ${suite}: jest ended without figures`)
    continue
  }
  passed += result.numPassedTests
  // A file that does not even load has no failed test; it counts as one.
  const broken = result.numRuntimeErrorTestSuites
  failed += result.numFailedTests + broken
  const skipped = result.numPendingTests === 0 ? '' : `, ${result.numPendingTests} skipped`
  lines.push(`${suite}: ${result.numPassedTests} passed, ${result.numFailedTests + broken} failed${skipped}`)
  for (const file of result.testResults.filter((one) => one.status === 'failed')) {
    const titles = file.assertionResults.filter((one) => one.status === 'failed').map((one) => one.fullName)
    lines.push(
      ...(titles.length > 0 ? titles : ['does not run']).map(
        (title) => `  FAILED ${relative('.', file.name)}: ${title}`,
      ),
    )
  }
  if (result.numFailedTests + broken === 0 && existsSync(join(dir, `${suite}.exit`))) {
    failed++
    lines.push(`FAILED ${suite}: every test passed, but jest ended with ${text(`${suite}.exit`).trim()}`)
  }
}

console.log(`\n== summary\n${lines.join('\n')}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function readResult(suite) {
  try {
    return JSON.parse(text(`${suite}.json`))
  } catch (err) {
    lines.push(`${suite}: ${err.code === 'ENOENT' ? 'no figures were written' : 'the figures cannot be read'}`)
    return undefined
  }
}
