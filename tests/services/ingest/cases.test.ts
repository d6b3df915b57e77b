import { appendFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { checkCsvFile, readCsvRecords } from '../../../connectors/csv/index.js'
import { loadCsvMapping } from '../../../connectors/csv/mapping.js'
import { loadConfig } from '../../../src/config.js'
import { traitValue } from '../../../src/domain/identity/profile.js'
import type { Problem } from '../../../src/errors.js'
import { createMetrics } from '../../../src/http/metrics.js'
import { recordsRouter } from '../../../src/http/routes/records.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'
import { checkDefinitions, loadDefinitions } from '../../../src/services/definitions/load-definitions.js'
import { type Taken, takeRecords } from '../../../src/services/ingest/take-records.js'
import { buildWorld, contactRecord, type EventHome, openEventHome, type World } from '../../support/build-deps.js'
import { makeSite } from '../../support/run-siyu.js'

const CASES = 'tests/fixtures/cases'
const KEY = 'test-key-0123456789'
const AT = '2026-11-30T10:00:00+08:00'
const NOON = '2026-11-30T12:00:00+08:00'

type Site = Awaited<ReturnType<typeof makeSite>>
type Check = { problems: readonly Problem[]; warnings: readonly Problem[] }
let site: Site
let home: EventHome
let world: World
let server: HttpServer
let url: string
/** Of the gift shop with the files of `yaml-ids` and `content-bytes` as they are. */
let checked: Check
const tried = new Set<string>()

const text = (name: string, file: string) => (
  tried.add(`${name}/${file}`),
  readFileSync(join(CASES, name, file), 'utf8')
)

const checkSite = async (): Promise<Check> =>
  checkDefinitions((await loadConfig({ file: site.config, env: {} })).paths, { brand: '测试品牌' })

beforeAll(async () => {
  site = await makeSite()
  const ids = text('yaml-ids', 'zz.yaml')
  writeFileSync(site.path('config/tags/zz.yaml'), ids)
  writeFileSync(site.path('config/content/long.yaml'), text('content-bytes', 'long.yaml'))
  writeFileSync(site.path('journeys/t-long.yaml'), text('content-bytes', 't-long.yaml'))
  for (const name of ['t-coupon', 't-join'])
    writeFileSync(site.path(`journeys/${name}.yaml`), text('card', `${name}.yaml`))
  appendFileSync(site.path('config/content/messages.yaml'), text('card', 'contents-to-add.yaml'))
  checked = await checkSite()
  // As `siyu check` asks for.
  writeFileSync(site.path('config/tags/zz.yaml'), ids.replace(/ (6917529027641081857|0012) /g, " '$1' "))
  await rm(site.path('config/content/long.yaml'))
  await rm(site.path('journeys/t-long.yaml'))
  const { paths } = await loadConfig({ file: site.config, env: {} })
  home = await openEventHome()
  world = await buildWorld(home, { at: NOON, definitions: await loadDefinitions(paths) })
  server = createHttpServer({
    ...{ host: '127.0.0.1', port: 0, apiKeys: [KEY], log: quietLog, publicRoutes: [] },
    routes: [recordsRouter({ take: (records, key) => takeRecords(world.deps, records, key) })],
    health: () => Promise.resolve({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  url = `${(await server.listen()).url}/v1/records`
})
afterAll(async () => {
  await server.close()
  await world.close()
  await home.close()
  await rm(site.dir, { recursive: true })
})

async function post(body: string): Promise<{ status: number; taken: Taken }> {
  const headers = { 'X-Api-Key': KEY, 'Content-Type': 'application/json' }
  const reply = await fetch(url, { method: 'POST', headers, body })
  const taken = (await reply.json()) as Taken
  await world.run()
  // What our own lanes say at this instant waits for the next.
  expect(await world.docs.batches.count({ state: { $ne: 'done' }, own: { $exists: false } })).toBe(0)
  expect(await world.docs.rejected.count({})).toBe(0)
  return { status: reply.status, taken }
}

/** Records of the shop, each about one member, with half-written JSON where a test needs that. */
const record = (member: string, more = '') =>
  `{"ref":"${member}","source":"shop","observedAt":"${AT}","identifiers":[{"type":"member_id","value":"${member}"}]${more === '' ? '' : `,${more}`}}`
const send = (...records: string[]) => post(`{"records":[${records.join(',')}]}`)

async function personOf(type: string, value: string) {
  const link = await world.docs.identifiers.get(`${type}:${value}`)
  return link === undefined ? undefined : world.docs.profiles.get(link.profileId)
}
const member = async (value: string) => (await personOf('member_id', value))!
async function tagsOf(value: string): Promise<string[]> {
  return Object.keys((await world.docs.profileTags.get((await member(value))._id))?.tags ?? {})
}
const traitOf = async (value: string, trait: string, source = 'shop') =>
  (await member(value)).traits[trait]?.[source]?.value

/** As `siyu import` does: the mapping and its file are checked, read and handed over. */
async function importCsv(mapping: string): Promise<{ refused: Problem[]; problems: Problem[]; accepted: number }> {
  const loaded = await loadCsvMapping(mapping)
  const refused = await checkCsvFile(loaded)
  const problems: Problem[] = []
  let accepted = 0
  if (refused.length > 0) return { refused, problems, accepted }
  for await (const batch of readCsvRecords(loaded, { onProblem: (p) => problems.push(p) })) {
    const taken = await takeRecords(world.deps, batch)
    accepted += taken.accepted
    for (const { index, problems: found } of [...taken.rejected, ...(taken.warnings ?? [])])
      problems.push(...found.map((p) => ({ ...p, path: `${batch[index]!.ref} ${p.path}` }))) // of this batch
  }
  await world.run()
  return { refused, problems, accepted }
}
const importCase = (name: string) => (
  tried.add(`${name}/map.yaml`).add(`${name}/in.csv`),
  importCsv(join(CASES, name, 'map.yaml'))
)
/** The mapping of the cases over another file. */
function importText(name: string, content: string | Buffer) {
  cpSync(join(CASES, 'csv-gbk/map.yaml'), site.path(`${name}.map.yaml`))
  writeFileSync(
    site.path(`${name}.map.yaml`),
    readFileSync(site.path(`${name}.map.yaml`), 'utf8').replace('in.csv', `${name}.csv`),
  )
  writeFileSync(site.path(`${name}.csv`), content)
  return importCsv(site.path(`${name}.map.yaml`))
}
const HEADER = 'id,at,member,phone,name,city'
const row = (n: number, phone = '') => `${n},2026-01-02 10:00:00,M${n},${phone},张三,上海`

describe('half a character', () => {
  it('is stored as U+FFFD and counted', async () => {
    expect(await post(text('lone-surrogate', 'body.json'))).toMatchObject({
      status: 202,
      taken: { accepted: 1, rejected: [], mended: 1 },
    })
    expect(await traitOf('S2', 'name', 'mini_program')).toBe('abc\ufffd')
  })

  const event = (id: string, properties: string) =>
    `"events":[{"id":"${id}","name":"consulted","occurredAt":"${AT}","properties":${properties}}]`
  it.each([
    ['the name of a trait', '"traits":{"a\\udc00":"x"}'],
    ['an event id', event('half\\ud83d', '{}')],
    ['the name of a property', event('hp', '{"\\ud83d":1}')],
    ['a property deep inside', event('hd', '{"a":[{"b":"\\udfff\\ud800"}]}')],
    ['both halves the wrong way round', '"traits":{"name":"\\ude00\\ud83d"}'],
  ])('in %s is mended too, and the next in line is worked off', async (what, more) => {
    const [mine, next] = [`half ${what}`, `after ${what}`]
    const { status, taken } = await send(record(mine, more), record(next))
    expect([status, taken.accepted, taken.mended]).toEqual([202, 2, 1])
    expect(await member(next)).toBeDefined()
  })

  it('in an identifier does not join two people whose names begin alike', async () => {
    await send(record('x\\ud83d'), record('x\\ud83dy'))
    expect((await member('x\ufffd'))._id).not.toBe((await member('x\ufffdy'))._id)
  })
})

describe('a name that every object has', () => {
  it('is the name of a trait like any other', async () => {
    expect((await post(text('trait-constructor', 'body.json'))).status).toBe(202)
    expect(await traitOf('C2', 'constructor', 'entries')).toBe('Acme')
  })

  it.each(['toString', 'hasOwnProperty', 'valueOf', 'prototype', '__defineGetter__', 'then', 'length'])(
    'such as %s likewise, as a trait, a source-like id and a property',
    async (name) => {
      const more = `"traits":{"${name}":"Acme"},"events":[{"id":"${name}","name":"consulted","occurredAt":"${AT}","properties":{"${name}":1}}]`
      expect((await send(record(`named ${name}`, more))).status).toBe(202)
      expect(await traitOf(`named ${name}`, name)).toBe('Acme')
    },
  )
})

describe('a property that no program reads as it was sent', () => {
  const order = (who: string, country: string, more: string) =>
    record(
      who,
      `"events":[{"id":"o-${who}","name":"order_paid","occurredAt":"${AT}","amountMinor":1,"properties":{"country":"${country}",${more}}}]`,
    )
  it('leaves the others readable, of the case and of its neighbours', async () => {
    expect(await post(text('unreadable-properties', 'body.json'))).toMatchObject({
      status: 202,
      taken: { accepted: 3 },
    })
    const odd = ['"n":1e400', '"n":-0', '"n":[1e-400]', '"n":123456789012345678901234567890', '"n":{"a":"\\udc00"}']
    const some = odd.flatMap((more, i) => [order(`uk${i}`, 'United Kingdom', more), order(`ie${i}`, 'EIRE', more)])
    expect((await send(...some)).status).toBe(202)
    await world.until('2026-12-01T02:30:00+08:00')
    for (const who of ['Q1', 'S9', 'S8']) expect(await tagsOf(who)).not.toContain('overseas_buyer')
    for (const i of odd.keys())
      expect([await tagsOf(`uk${i}`), await tagsOf(`ie${i}`)]).toEqual([
        expect.not.arrayContaining(['overseas_buyer']),
        expect.arrayContaining(['overseas_buyer']),
      ])
  })
})

describe('placeholders', () => {
  it('join nobody: four people, who are told', async () => {
    const { taken } = await post(text('placeholder-ids', 'body.json'))
    expect([taken.accepted, taken.warnings?.map((w) => w.index)]).toEqual([4, [0, 1, 2, 3]])
    const four = [['member_id', 'A1'], ['member_id', 'A2'], ['phone', '10000000104'], ['phone', '10000000105']] as const // prettier-ignore
    const ids = await Promise.all(four.map(async ([type, value]) => (await personOf(type, value))?._id))
    expect(new Set(ids).size).toBe(4)
    expect(ids).not.toContain(undefined)
  })

  it.each(['NaN', '(null)', '[object Object]', 'null\u200b', '\ufeffundefined', '0', '#N/A'])(
    '%j is one of them',
    async (value) => {
      const one = (who: string) =>
        `{"ref":"${who}","source":"shop","observedAt":"${AT}","identifiers":[{"type":"unionid","value":${JSON.stringify(value)}},{"type":"member_id","value":"${who}"}]}`
      await send(one(`p1 ${value}`), one(`p2 ${value}`))
      expect((await member(`p1 ${value}`))._id).not.toBe((await member(`p2 ${value}`))._id)
    },
  )
})

describe('a CSV file', () => {
  it('may have a CRLF header and LF rows', async () => {
    expect(await importCase('csv-newlines')).toEqual({ refused: [], problems: [], accepted: 3 })
  })

  it.each([
    ['CR alone', [HEADER, row(101), row(102), ''].join('\r')],
    ['no end of the last line', `${HEADER}\r\n${row(101)}\n${row(102)}`],
    ['a mark before and blank lines between', `\ufeff${HEADER}\n\r\n${row(101)}\r\n\n${row(102)}\n\n`],
    ['a space of lines that hold blanks only', `${HEADER}\n${row(101)}\n   \n${row(102)}\n`],
  ])('may have %s', async (_what, content) => {
    expect(await importText('newlines', content)).toMatchObject({ refused: [], problems: [], accepted: 2 })
  })

  it('is decoded when it is GBK, UTF-16, or GBK with characters of four bytes', async () => {
    expect(await importCase('csv-gbk')).toEqual({ refused: [], problems: [], accepted: 2 })
    expect([await traitOf('M1', 'name', 'crm'), await traitOf('M1', 'city', 'crm')]).toEqual(['张三', '上海'])
    const wide = Buffer.from(`\ufeff${HEADER}\n${row(111)}\n`, 'utf16le')
    expect(await importText('wide', wide)).toMatchObject({ refused: [], problems: [], accepted: 1 })
    expect(await traitOf('M111', 'name', 'crm')).toBe('张三')
    // 㐀 of GB18030, between two of GBK.
    const four = Buffer.from(`${HEADER}\n${row(112)}\n`.replace('张三', '\xd5\xc5\x81\x39\xee\x39\xc8\xfd').replace('上海', '\xc9\xcf'), 'latin1') // prettier-ignore
    expect(await importText('four', four)).toMatchObject({ refused: [], problems: [], accepted: 1 })
    expect(await traitOf('M112', 'name', 'crm')).toBe('张㐀三')
  })

  it('has phones as people and spreadsheets write them, and reports those that are none', async () => {
    const { problems, accepted } = await importCase('csv-phones')
    expect(accepted).toBe(6)
    expect(problems.map((p) => p.path)).toEqual([
      expect.stringMatching(/in\.csv:5 identifiers\.1\.value/),
      expect.stringMatching(/in\.csv:7 identifiers\.1\.value/),
    ])
    for (const n of ['61', '62', '63', '69'])
      expect((await personOf('phone', `100000000${n}`))?._id).toBe((await member(`M${n}`))._id)
  })

  it.each([
    ['8610000000121', '10000000121'],
    ['０1000000０122'.replace('０1', '1'), '10000000122'],
    ["'10000000123", '10000000123'],
    ['100-0000-0124；', '10000000124'],
    ['"（100）0000 0125"', '10000000125'],
    ['\u200e10000000126\u200f', '10000000126'],
    ['1.0000000127E+10', undefined],
    ['100****0128', undefined],
    ['10000000129转8001', undefined],
    ['10000000130、10000000131', undefined],
  ])('reads the phone %j as %j', async (written, phone) => {
    const n = 121 + Number(/1(2\d|3\d)/.exec(written.replace(/[^0-9]/g, '').slice(-6))?.[1] ?? 0)
    const { problems, accepted } = await importText('phone', `${HEADER}\n${row(n, written)}\n`)
    expect([accepted, problems.length]).toEqual([1, phone === undefined ? 1 : 0])
    const mine = (await member(`M${n}`)).identifiers.filter((i) => i.type === 'phone').map((i) => i.value)
    expect(mine).toEqual(phone === undefined ? [] : [phone])
  })

  it('is refused where a column that is mapped is there twice, with its name', async () => {
    const { refused, accepted } = await importCase('csv-duplicate-column')
    expect([accepted, refused]).toMatchObject([
      0,
      [{ path: 'identifiers.phone', message: expect.stringContaining('2 columns "phone"') as unknown }],
    ])
    const thrice = `${HEADER},phone,phone\n${row(141)},1,2\n`
    expect((await importText('thrice', thrice)).refused).toMatchObject([
      { path: 'identifiers.phone', message: expect.stringContaining('3 columns "phone"') as unknown },
    ])
    const other = `${HEADER},note,note\n${row(142)},1,2\n`
    expect(await importText('other', other)).toMatchObject({ refused: [], accepted: 1 })
  })
})

describe('what was said later', () => {
  it('withdraws a trait, though an older statement comes behind it', async () => {
    expect((await post(text('late-older-trait', 'body.json'))).status).toBe(202)
    expect(traitValue(await member('Z1'), 'city')).toBeUndefined()
  })

  const city = (who: string, hour: number, value: string | null) =>
    record(who, `"traits":{"city":${JSON.stringify(value)}}`).replace('T10:', `T0${hour}:`)
  it.each<[string, (string | null)[], string | undefined]>([
    ['withdrawn at last', ['a', 'b', null], undefined],
    ['said again at last', ['a', null, 'b'], 'b'],
    ['withdrawn at first', [null, 'a', 'b'], 'b'],
  ])('of three statements counts whatever their order, %s', async (what, values, expected) => {
    for (const [i, order] of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ].entries()) {
      const who = `${what} ${i}`
      for (const k of order) await send(city(who, k + 1, values[k]!))
      expect(traitValue(await member(who), 'city')).toBe(expected)
    }
  })

  const wish = (who: string, hour: number, name: string) =>
    record(who, `"events":[{"id":"${who}${hour}","name":"${name}","occurredAt":"${AT.replace('T10:', `T0${hour}:`)}"}]`)
  it('of stop and go counts, for rules as for the planner', async () => {
    expect((await post(text('opt-in', 'body.json'))).status).toBe(202)
    expect(await tagsOf('O1')).not.toContain('said_stop')
    await send(wish('O2', 8, 'opted_in'), wish('O2', 9, 'opted_out'))
    await send(wish('O3', 9, 'opted_in'))
    await send(wish('O3', 8, 'opted_out'))
    await send(wish('O4', 8, 'opted_in'))
    await send(wish('O4', 9, 'opted_out'))
    const tags = await Promise.all(['O2', 'O3', 'O4'].map(tagsOf))
    expect(tags.map((of) => of.includes('said_stop'))).toEqual([true, false, true])
  })
})

describe('siyu check', () => {
  it('asks for quotes around ids that YAML reads as other numbers, with the line', () => {
    const ids = checked.problems.filter((p) => p.file?.endsWith('zz.yaml') === true)
    expect(ids.map((p) => p.line)).toEqual([8, 15])
    for (const { hint } of ids) expect(hint).toMatch(/quote/)
  })

  it('counts the bytes of a text as its channel does', () => {
    const long = checked.problems.filter((p) => p.file?.endsWith('long.yaml') === true)
    expect(long).toMatchObject([
      { path: 'contents.0.text', message: expect.stringMatching(/4,?200.*4,?000|4,?000.*4,?200/) as unknown },
    ])
  })

  it.each([
    ['0x1F', true],
    ['007', true],
    ['1_000', false], // a text to YAML 1.2
    ['9007199254740993', true],
    ['[0012, 12]', true],
    ["'0012'", false],
    ['12', false],
  ])('is: %s is doubted: %s', async (written, isDoubted) => {
    const field = written.startsWith('[') ? `in: ${written}` : `is: ${written}`
    const file = readFileSync(site.path('config/tags/zz.yaml'), 'utf8').replace("is: '0012'", field)
    writeFileSync(site.path('config/tags/zz.yaml'), file)
    const { problems } = await checkSite()
    writeFileSync(site.path('config/tags/zz.yaml'), file.replace(field, "is: '0012'"))
    expect(problems.filter((p) => p.file?.endsWith('zz.yaml') === true).map((p) => p.line)).toEqual(
      isDoubted ? [15] : [],
    )
  })

  it.each([
    ['好'.repeat(1_333) + 'a', 0],
    ['好'.repeat(1_333) + 'ab', 1],
    ['🎁'.repeat(1_000), 0],
    ['🎁'.repeat(1_000) + '!', 1],
    ['好'.repeat(1_330) + '{{ brand }}', 1], // 测试品牌 is 12 bytes
  ])('takes 4,000 bytes and no more', async (words, problems) => {
    writeFileSync(site.path('config/content/long.yaml'), `contents:\n  - id: t-long\n    text: '${words}'\n`)
    writeFileSync(site.path('journeys/t-long.yaml'), text('content-bytes', 't-long.yaml'))
    const found = await checkSite()
    await rm(site.path('config/content/long.yaml'))
    await rm(site.path('journeys/t-long.yaml'))
    expect(found.problems.map((p) => p.path)).toEqual(Array<string>(problems).fill('contents.0.text'))
  })

  it('quoted, ids are compared letter by letter', async () => {
    expect((await post(text('yaml-ids', 'body.json'))).status).toBe(202)
    const mine = (tags: string[]) => tags.filter((tag) => ['bought_sku', 'store_0012'].includes(tag)).sort()
    expect([mine(await tagsOf('K1')), mine(await tagsOf('K2'))]).toEqual([['bought_sku', 'store_0012'], []])
  })
})

describe('the card of a guide', () => {
  const happens = async (who: string, name: string) => {
    const now = world.clock.now().toISOString()
    await send(record(who, `"events":[{"id":"${who} ${name}","name":"${name}","occurredAt":"${now}"}]`))
  }
  const cards = (guide: string) =>
    world.task.sent.filter((s) => s.recipients.some((r) => r.to === guide)).map((s) => s.content.card!)

  it('has a rendered title in whole characters and every code, also of a reason that joins an open card', async () => {
    await world.until('2026-12-01T12:00:00+08:00')
    for (const who of ['card-1', 'card-2'])
      await world.accept(`contact ${who}`, contactRecord(who, world.clock.now(), `guide-${who}`))
    await happens('card-1', 'order_paid')
    await happens('card-2', 'consulted')
    await world.until('2026-12-01T15:00:00+08:00')
    const [bought] = cards('guide-card-1')
    expect(bought?.title).toMatch(/^Brand送您一张新客八折券：WEL/)
    const code = bought?.rows.find((r) => r.name === '券码')?.value
    expect(code).toMatch(/^WEL\w+$/)
    const all = cards('guide-card-2').at(-1)
    expect(all?.title).toBe('回访；一二三四五六七八九十一二三四五六七八九🎁券码…')
    expect(all?.rows.find((r) => r.name === '券码')?.value).toMatch(/^VIP\w+$/)
    for (const { title, rows } of [...cards('guide-card-1'), ...cards('guide-card-2')])
      for (const shown of [title, ...rows.map((r) => r.value)])
        expect([shown, shown.isWellFormed(), shown.includes('{{')]).toEqual([shown, true, false])
  })
})

it('every file of the cases was tried', () => {
  const files = readdirSync(CASES, { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && f.name !== 'README.md')
    .map((f) => join(f.parentPath, f.name).slice(CASES.length + 1))
  expect([...tried].sort()).toEqual(files.sort())
})
