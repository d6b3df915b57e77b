import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { checkCsvSource } from '../../../connectors/csv/check.js'

const known = {
  identifiers: new Set(['member_id', 'phone', 'openid']),
  events: new Set(['order_paid', 'registered']),
  traits: new Set(['city', 'birthday']),
}

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-mapping-'))
  await writeFile(join(dir, 'people.csv'), '会员号,城市,注册时间\n1,上海,2026-01-02\n')
})
afterEach(() => rm(dir, { recursive: true }))

async function problemsOf(lines: readonly string[], csv?: string): Promise<string[]> {
  const file = join(dir, 'people.yaml')
  await writeFile(file, lines.join('\n'))
  const problems = await checkCsvSource(file, { currency: 'CNY', known, csv })
  expect(problems.every((p) => p.file === file)).toBe(true)
  return problems.map((p) => `${p.line} ${p.path}`)
}

const MAPPING = [
  'rows: people',
  'source: members',
  'file: people.csv',
  'timeZone: Asia/Shanghai',
  'timestampFormat: yyyy-MM-dd',
  'columns: { observedAt: 注册时间 }',
  'identifiers: { member_id: 会员号 }',
  'traits: { city: 城市 }',
  'event: registered',
]
const put = (...lines: string[]) =>
  MAPPING.map((line) => lines.find((l) => l.split(':')[0] === line.split(':')[0]) ?? line)

describe('checkCsvSource', () => {
  it('finds nothing where nothing is wrong', async () => {
    expect(await problemsOf(MAPPING)).toEqual([])
    expect(await problemsOf(put('identifiers: { "openid:wx1": 会员号 }', 'traits: { shoe_size: 城市 }'))).toEqual([])
  })

  it('tells at once what is wrong with the mapping, its columns and its names, each on its line', async () => {
    expect(
      await problemsOf(
        put(
          'timeZone: Asia/Shanhai',
          'columns: { observedAt: 注册日期 }',
          'identifiers: { membr_id: 会员号 }',
          'traits: { citty: 城市 }',
          'event: registred',
        ),
      ),
    ).toEqual(['4 timeZone', '6 columns.observedAt', '7 identifiers.membr_id', '8 traits.citty', '9 event'])
  })

  it('holds another file against it, when it is given one', async () => {
    const next = join(dir, 'people-2026-12.csv')
    await writeFile(next, '会员号,注册时间\n2,2026-12-02\n')
    expect(await problemsOf(MAPPING, next)).toEqual(['8 traits.city'])
  })
})
