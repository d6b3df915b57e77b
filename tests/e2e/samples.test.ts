import { beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type CsvReport, readCsvRecords } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { firstOrders } from '../../samples/buyers.js'
import { type Buyer, inventPeople, type People } from '../../samples/people.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { computePairwise } from '../../src/domain/identity/evaluate.js'
import { armOf } from '../../src/domain/experiments/arm.js'
import { computeEffect } from '../../src/domain/measures/newcombe.js'
import { DAY_MS } from '../../src/time.js'
import { countOnlineRetail } from '../support/count-online-retail.js'
import { withoutLines } from '../support/order-file.js'

/** The whole order file, read once for all that is said of it here. */
const FILE = 'samples/online-retail.csv.gz'
const records: SourceRecord[] = []
const batchSizes: number[] = []
const problems: unknown[] = []
let report: CsvReport | undefined
let grewBytes = Infinity

beforeAll(async () => {
  const loaded = await loadCsvMapping('examples/gift-shop/config/sources/online-retail.yaml')
  const bytesBefore = process.memoryUsage().heapUsed
  let mostBytes = bytesBefore
  const options = { onProblem: (p: unknown) => problems.push(p), onReport: (r: CsvReport) => (report = r) }
  for await (const batch of readCsvRecords(loaded, options)) {
    batchSizes.push(batch.length)
    mostBytes = Math.max(mostBytes, process.memoryUsage().heapUsed)
    // Without their lines, so that what the test keeps is small beside what the reader needs.
    for (const record of batch) records.push(withoutLines(SourceRecord.parse(record)))
  }
  grewBytes = mostBytes - bytesBefore
})

describe('the Online Retail file', () => {
  it('gives the known figures', () => {
    expect(report?.source).toMatchObject({
      rows: 541_909,
      rowsWithoutCustomer: 135_080,
      customers: 4_372,
      orders: 22_061,
      cancellations: 3_836,
      adjustments: 3,
      duplicateRows: 5_268,
      currency: 'GBP',
    })
  })

  it('gives the figures that a plain count of the file gives', () => {
    expect(report?.source).toEqual(countOnlineRetail(FILE))
  })

  it('says what is wrong in it', () => {
    expect(problems).toEqual([])
    const counts = Object.fromEntries(report?.findings.map((f) => [f.id, f.count]) ?? [])
    expect(counts).toEqual({
      row_without_customer: 135_080,
      invoice_without_customer: 3_707,
      duplicate_row: 5_268,
      zero_price: 2_515,
      negative_price: 2,
      unmarked_return: 1_336,
      empty_description: 1_454,
      not_goods: 2_916,
      outlier: 5,
      spread_invoice: 43,
    })
  })

  it('links every invoice of a customer, in ascending time and then number, in batches of at most 500', () => {
    expect(records).toHaveLength(22_190)
    expect(Math.max(...batchSizes)).toBeLessThanOrEqual(500)
    const keys = records.map((r) => `${r.observedAt.toISOString()} ${r.events[0]!.id}`)
    expect(keys).toEqual([...keys].sort())
    expect(new Set(records.map((r) => r.events[0]!.id)).size).toBe(records.length)
    expect(new Set(records.map((r) => r.identifiers[0]!.value)).size).toBe(4_372)
    expect(report?.records).toBe(records.length)
  })

  it('adds up an order over all its lines and counts it at its earliest minute', () => {
    const byInvoice = new Map(records.map((r) => [r.events[0]!.id, r]))
    expect(byInvoice.get('online_retail:536365')).toEqual({
      ref: 'online-retail.csv:2',
      source: 'online_retail',
      observedAt: new Date('2010-12-01T08:26:00Z'),
      identifiers: [{ type: 'member_id', value: '17850' }],
      traits: {},
      events: [
        {
          id: 'online_retail:536365',
          name: 'order_paid',
          occurredAt: new Date('2010-12-01T08:26:00Z'),
          amountMinor: 13_912,
          properties: { invoice: '536365', country: 'United Kingdom', quantity: 40, lineCount: 7, lines: 7 },
        },
      ],
    })
    expect(byInvoice.get('online_retail:536591')?.observedAt.toISOString()).toBe('2010-12-01T16:57:00.000Z')
    expect(byInvoice.get('online_retail:581483')?.events[0]).toMatchObject({ amountMinor: 16_846_960 })
    expect(byInvoice.get('online_retail:C581484')?.events[0]).toMatchObject({
      name: 'order_cancelled',
      amountMinor: -16_846_960,
    })
    const lines = records.map((r) => r.events[0]!.properties as { lines: number; lineCount: number })
    expect(Math.max(...lines.map((p) => p.lines))).toBe(50)
    expect(Math.max(...lines.map((p) => p.lineCount))).toBe(542)
  })

  it('holds the open invoices and the hashes of rows, not the file', () => {
    expect(grewBytes).toBeLessThan(300e6)
  })

  it('is the file that samples/README.md describes', () => {
    const sha256 = createHash('sha256').update(readFileSync(FILE)).digest('hex')
    expect(readFileSync('samples/README.md', 'utf8')).toContain(sha256)
  })
})

type Row = Record<string, string>

describe('the synthetic people', () => {
  let buyers: Buyer[]
  let people: People
  let members: Row[]
  let contacts: Row[]
  let personOf: Map<string, string>

  beforeAll(async () => {
    buyers = await firstOrders([records])
    people = inventPeople(buyers)
    members = parse(people.members)
    contacts = parse(people.contacts)
    personOf = new Map(parse(people.truth).map((row) => [row.record_id!, row.person!]))
  })

  it.each([
    ['members.csv', (p: People) => p.members],
    ['wecom-contacts.csv', (p: People) => p.contacts],
    ['members-truth.csv', (p: People) => p.truth],
  ])('%s is what the generator writes, under 1 MB', (name, textOf) => {
    const shipped = readFileSync(`samples/${name}`, 'utf8')
    expect(textOf(people) === shipped).toBe(true)
    expect(Buffer.byteLength(shipped)).toBeLessThan(1e6)
  })

  it('do not depend on the order in which buyers are given', () => {
    expect(inventPeople(buyers.toReversed()).members === people.members).toBe(true)
  })

  it('have the counts that samples/README.md states', () => {
    const readme = readFileSync('samples/README.md', 'utf8')
    const { byClass, rowsBySystem, ...rest } = people.counts
    for (const n of [...Object.values(rest), personOf.size]) expect(readme).toContain(n.toLocaleString('en'))
    for (const [system, n] of Object.entries(rowsBySystem))
      expect(readme).toContain(`\`${system}\` ${n.toLocaleString('en')}`)
    for (const [kind, n] of Object.entries(byClass))
      expect(readme.replace(/ +/g, ' ')).toContain(`| \`${kind}\` | ${n.toLocaleString('en')} |`)
    expect(people.counts).toMatchObject({ persons: 5_272, buyers: 4_372, neverBought: 900 })
  })

  it('are one person for each customer number, whose crm row carries it no later than the first order', () => {
    const crmRow = new Map(members.filter((m) => m.system === 'crm').map((m) => [m.member_id, m]))
    const daysBefore = buyers.map(({ customer, firstAt }) => {
      const registeredAt = new Date(crmRow.get(customer)?.registered_at ?? NaN)
      return (firstAt.getTime() - registeredAt.getTime()) / DAY_MS
    })
    expect(Math.min(...daysBefore)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...daysBefore)).toBeLessThan(20.01)
    const slowRatio = daysBefore.filter((days) => days >= 8).length / buyers.length
    expect(slowRatio).toBeGreaterThan(0.13)
    expect(slowRatio).toBeLessThan(0.17)
    expect(new Set(buyers.map(({ customer }) => personOf.get(crmRow.get(customer)!.record_id!))).size).toBe(4_372)
  })

  it('have record ids unique over both files, each with its person', () => {
    const ids = [...members.map((m) => m.record_id!), ...contacts.map((c) => c.external_userid!)]
    expect(new Set(ids).size).toBe(ids.length)
    expect([...personOf.keys()].sort()).toEqual(ids.sort())
  })

  it('are plainly nobody, and registered or were added within the time of the samples', () => {
    for (const m of members) {
      expect(m.phone).toMatch(/^(100\d{8})?$/)
      expect(m.unionid).toMatch(/^(oSYN[0-9a-f]{24})?$/)
      expect(m.name).toMatch(/^客户 \d{5}$/)
    }
    for (const c of contacts) {
      expect(c.external_userid).toMatch(/^wmSYN[0-9a-f]{27}$/)
      expect(c.remark_mobile).toMatch(/^(100\d{8})?$/)
      expect(c.owner).toMatch(/^guide-0([01]\d|2[0-4])$/)
    }
    const times = [...members.map((m) => m.registered_at!), ...contacts.map((c) => c.added_at!)].sort()
    expect(times[0]! >= '2010-11-10').toBe(true)
    expect(times.at(-1)! <= '2011-12-09T12:50').toBe(true)
  })

  it('register without ever buying in the last 90 days too', () => {
    const bought = new Set(buyers.map((b) => b.customer))
    const buyerPersons = new Set(members.filter((m) => bought.has(m.member_id!)).map((m) => personOf.get(m.record_id!)))
    const late = members.filter(
      (m) => m.registered_at! >= '2011-09-10' && !buyerPersons.has(personOf.get(m.record_id!)),
    )
    expect(late.length).toBeGreaterThan(150)
  })

  it('share phones between different people, and have one person under two unionids', () => {
    const unionIds = new Map<string, Set<string>>()
    const holders = new Map<string, Set<string>>()
    const note = (map: Map<string, Set<string>>, key: string, value: string): void => {
      if (key !== '' && value !== '') map.set(key, (map.get(key) ?? new Set<string>()).add(value))
    }
    for (const m of members) {
      note(holders, m.phone!, personOf.get(m.record_id!)!)
      note(unionIds, personOf.get(m.record_id!)!, m.unionid!)
    }
    for (const c of contacts) note(unionIds, personOf.get(c.external_userid!)!, c.unionid!)
    // 36 families, 20 numbers passed on, 30 typing errors.
    expect([...holders.values()].filter((persons) => persons.size > 1)).toHaveLength(86)
    expect([...unionIds.values()].filter((ids) => ids.size > 1)).toHaveLength(30)
  })

  it('give joining-all-that-shares-anything the precision and recall that samples/README.md states', () => {
    const records = new Map<string, string[]>([
      ...members.map(
        (m) => [m.record_id!, [`m:${m.member_id}`, `p:${m.phone}`, `u:${m.unionid}`]] as [string, string[]],
      ),
      ...contacts.map((c) => [c.external_userid!, [`p:${c.remark_mobile}`, `u:${c.unionid}`]] as [string, string[]]),
    ])
    const parents = new Map<string, string>()
    const rootOf = (node: string): string => {
      const parent = parents.get(node) ?? node
      return parent === node ? node : rootOf(parent)
    }
    for (const [id, identifiers] of records) {
      for (const identifier of identifiers.filter((i) => !i.endsWith(':'))) parents.set(rootOf(identifier), rootOf(id))
    }
    const clusters = new Map([...records.keys()].map((id) => [id, rootOf(id)]))
    const { precision, recall, ...counted } = computePairwise(clusters, personOf)
    expect(counted).toMatchObject({ truePairs: people.counts.truePairs, correctPairs: people.counts.linkablePairs })
    expect([precision?.toFixed(3), recall?.toFixed(3)]).toEqual(['0.947', '0.865'])
  })

  it('are read by the members mapping, in ascending time, without a problem', async () => {
    const problems: unknown[] = []
    let report: CsvReport | undefined
    const records: SourceRecord[] = []
    const loaded = await loadCsvMapping('examples/gift-shop/config/sources/members.yaml')
    const options = { onProblem: (p: unknown) => problems.push(p), onReport: (r: CsvReport) => (report = r) }
    for await (const batch of readCsvRecords(loaded, options)) records.push(...batch.map((r) => SourceRecord.parse(r)))
    expect(problems).toEqual([])
    expect(report).toMatchObject({ rows: members.length, records: members.length, findings: [], source: undefined })
    const times = records.map((r) => r.observedAt.getTime())
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(records[0]).toMatchObject({
      ref: 'members.csv:2',
      source: members[0]!.system,
      events: [
        { id: 'members:m00001', name: 'registered', properties: { recordId: 'm00001', system: members[0]!.system } },
      ],
    })
  })
})

function parse(csv: string): Row[] {
  const [header = '', ...lines] = csv.trimEnd().split('\n')
  return lines.map((line) => {
    const cells = line.split(',')
    return Object.fromEntries(header.split(',').map((column, i) => [column, cells[i] ?? '']))
  })
}

/** The demo's live phase: the last 90 days of the file, which ends on 2011-12-09. */
const LIVE_FROM = new Date('2011-09-10T00:00:00+01:00')
const HOLDOUT_RATIO = 0.1
const DRAWS = 1_000

/** Customer → whether an order of theirs falls into the live phase; only customers who ordered before it. */
function ordersBefore(): Map<string, boolean> {
  const orders = records.filter((r) => r.events[0]!.name === 'order_paid')
  const customerOf = (r: SourceRecord) => r.identifiers[0]!.value
  const later = new Set(orders.filter((o) => o.observedAt >= LIVE_FROM).map(customerOf))
  return new Map(orders.filter((o) => o.observedAt < LIVE_FROM).map((o) => [customerOf(o), later.has(customerOf(o))]))
}

describe('a holdout drawn again and again over the purchases of the file', () => {
  it('finds zero inside the 95 % interval in 93–97 % of 1,000 draws, for nobody received a message', () => {
    const buyers = ordersBefore()
    expect(buyers.size).toBeGreaterThan(3_000)
    let inside = 0
    for (let seed = 1; seed <= DRAWS; seed++) {
      const [treated, holdout] = [
        { n: 0, x: 0 },
        { n: 0, x: 0 },
      ]
      for (const [customer, bought] of buyers) {
        const arm = armOf(seed, 'redraw', customer, HOLDOUT_RATIO) === 'holdout' ? holdout : treated
        arm.n++
        if (bought) arm.x++
      }
      const { low, high } = computeEffect({ treated, holdout })
      if (low !== null && low <= 0 && high >= 0) inside++
    }
    expect(inside / DRAWS).toBeGreaterThanOrEqual(0.93)
    expect(inside / DRAWS).toBeLessThanOrEqual(0.97)
  })
})
