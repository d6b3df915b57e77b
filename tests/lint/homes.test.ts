import { describe, expect, it } from '@jest/globals'
import { ESLint } from 'eslint'

const eslint = new ESLint()

/** What is said of each of these lines; one run, since each one loads the types of everything. */
async function saidOf(code: readonly string[], filePath = 'src/jobs/registry.ts'): Promise<string[]> {
  const [result] = await eslint.lintText(code.join('\n'), { filePath })
  const found = result!.messages.filter((m) => m.ruleId === 'no-restricted-syntax')
  return code.map((line, i) => `${found.find((m) => m.line === i + 1)?.message.slice(0, 20) ?? '—'}  ${line}`)
}
const all = (said: string, lines: readonly string[]) => lines.map((line) => `${said}  ${line}`)

describe('what has one home', () => {
  it('is found there and nowhere else, however it is written', async () => {
    const clock = [
      'const a = Date.now()',
      'const b = Date.now',
      "const c = Date['now']()",
      'const { now } = Date',
      'const d = new Date()',
      'const e = Date()',
      'const f = new globalThis.Date()',
      'const g = performance.now()',
      'const h = globalThis.performance.now()',
      'const i = process.hrtime.bigint()',
      "import { hrtime } from 'node:process'",
      "import { performance } from 'perf_hooks'",
    ]
    const dice = [
      'const j = Math.random()',
      "const k = Math['random']()",
      'const { random } = Math',
      'const l = crypto.randomUUID()',
      "import { randomBytes } from 'node:crypto'",
    ]
    const environment = [
      'const m = process.env',
      "const n = process['env']",
      'const o = globalThis.process.env',
      'const { env } = process',
      'const { env: p } = globalThis.process',
      "import { env as q } from 'node:process'",
    ]
    const tables = [
      "const r = 'SELECT 1 FROM events'",
      'const s = `SELECT 1 FROM anything WHERE ${r}`',
      "const t = 'select 1 from events'",
      "const u = 'SELECT 1 FROM\\n  tag_state'",
      "const v = 'INSERT INTO  profiles VALUES'",
      "const w = 'select 1 from `trait_changes` where 1'",
    ]
    const logs = [
      'const cc = `ALTER TABLE ${r} DELETE WHERE 1`',
      "const dd = 'delete from '",
      'const ee = `TRUNCATE TABLE ${r}`',
      'const ff = `ALTER TABLE ${r} DROP PARTITION 2025`',
      'const gg = `ALTER TABLE ${r} MODIFY TTL known_at + INTERVAL 1 YEAR`',
    ]
    const free = [
      "const x = new Date('2026-03-02')",
      'const y = performance.timeOrigin',
      "const z = 'SELECT 1 FROM numbers(3) JOIN system.tables'",
      "const aa = 'from the events of a day'",
      'const bb = context.env',
      "import { createHash } from 'node:crypto'",
      "const hh = 'DELETE'",
    ]
    expect(await saidOf([...clock, ...dice, ...environment, ...tables, ...logs, ...free])).toEqual([
      ...all('The clock lives in s', clock),
      ...all('Chance lives in src/', dice),
      ...all('process.env is read ', environment),
      ...all('Tables of the event ', tables),
      ...all('Logs of the event st', logs),
      ...all('—', free),
    ])
  }, 120_000)
})
