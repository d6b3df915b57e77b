import { beforeAll, describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { type CsvReport, readCsvRecords } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { loadBuyers } from '../../samples/buyers.js'
import { type Buyer, inventPeople, type People } from '../../samples/people.js'
import { computePairwise } from '../../src/domain/identity/evaluate.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { DAY_MS } from '../../src/time.js'

type Row = Record<string, string>

describe('the synthetic people', () => {
  let buyers: Buyer[]
  let people: People
  let members: Row[]
  let contacts: Row[]
  let personOf: Map<string, string>

  beforeAll(async () => {
    buyers = await loadBuyers('config/sources/online-retail.yaml')
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
    const loaded = await loadCsvMapping('config/sources/members.yaml')
    const options = { onProblem: (p: unknown) => problems.push(p), onReport: (r: CsvReport) => (report = r) }
    for await (const batch of readCsvRecords(loaded, options)) records.push(...batch.map((r) => SourceRecord.parse(r)))
    expect(problems).toEqual([])
    expect(report).toEqual({ rows: members.length, records: members.length, findings: [], source: undefined })
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
