// Adds up what jest itself counted, names what failed, and prints "N passed, N failed" as the last line.
// Usage: summary.mjs DIR, where DIR holds tests.json of the jest run, again.json of suites that ran once more, tests.exit where it
// failed, and NAME.failed of the rest. summary.mjs --silent-engine FILE lists the suites that failed because the engine in
// their worker did not answer, or was still held by one that did not.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const [dir, file] = process.argv.slice(2)
if (dir === '--silent-engine') {
  const { testResults } = JSON.parse(readFileSync(file, 'utf8'))
  const isSilent = ({ status, message }) =>
    status === 'failed' && /\(no_answer\)|already holds another chDB directory/.test(message)
  for (const suite of testResults.filter(isSilent)) console.log(relative('.', suite.name))
  process.exit()
}
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
const result = readResult()
if (result === undefined) failed++
else {
  const counts = { passed: 0, failed: 0 }
  for (const [kind, files] of byKind(result.testResults)) {
    const tests = files.flatMap((file) => file.assertionResults)
    const count = (status) => tests.filter((one) => one.status === status).length
    const broken = files.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
    counts.passed += count('passed')
    // A file that does not even load has no failed test; it counts as one.
    counts.failed += count('failed') + broken
    const skipped = count('pending') === 0 ? '' : `, ${count('pending')} skipped`
    const seconds = files.reduce((sum, file) => sum + secondsOf(file), 0)
    lines.push(
      `${kind}: ${count('passed')} passed, ${count('failed') + broken} failed${skipped}; ${files.length} files, ${Math.round(seconds)} s of a worker`,
    )
  }
  for (const file of result.testResults.filter((one) => one.status === 'failed')) {
    const titles = file.assertionResults.filter((one) => one.status === 'failed').map((one) => one.fullName)
    lines.push(
      ...(titles.length > 0 ? titles : ['does not run']).map(
        (title) => `  FAILED ${relative('.', file.name)}: ${title}`,
      ),
    )
  }
  passed += counts.passed
  failed += counts.failed
  const slowest = result.testResults.toSorted((a, b) => secondsOf(b) - secondsOf(a)).slice(0, 12)
  for (const file of slowest)
    lines.push(`  ${String(Math.round(secondsOf(file))).padStart(4)} s ${relative('.', file.name)}`)
  if (counts.failed === 0 && existsSync(join(dir, 'tests.exit'))) {
    failed++
    lines.push(`FAILED tests: every test passed, but jest ended with ${text('tests.exit').trim()}`)
  }
}

console.log(`\n== summary\n${lines.join('\n')}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function secondsOf(file) {
  return (file.endTime - file.startTime) / 1000
}

function byKind(files) {
  const kinds = new Map()
  for (const file of files) {
    const path = relative('.', file.name)
    const kind = path.includes('.property.') ? 'properties' : (/^tests\/(live|chaos|e2e)\//.exec(path)?.[1] ?? 'test')
    kinds.set(kind, [...(kinds.get(kind) ?? []), file])
  }
  return kinds
}

function readResult() {
  try {
    const { testResults } = JSON.parse(text('tests.json'))
    if (!existsSync(join(dir, 'again.json'))) return { testResults }
    const again = new Map(JSON.parse(text('again.json')).testResults.map((one) => [one.name, one]))
    for (const name of again.keys())
      lines.push(`  AGAIN ${relative('.', name)}: the engine in its worker did not answer`)
    return { testResults: testResults.map((one) => again.get(one.name) ?? one) }
  } catch (err) {
    lines.push(`FAILED tests: ${err.code === 'ENOENT' ? 'no figures were written' : 'the figures cannot be read'}`)
    return undefined
  }
}
