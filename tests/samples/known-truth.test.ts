import { beforeAll, describe, expect, it } from '@jest/globals'
import { createReadStream, readFileSync } from 'node:fs'
import { parse } from 'csv-parse'
import { readCsvRecords } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { computePairwise } from '../../src/domain/identity/evaluate.js'
import { IdentityConfig } from '../../src/domain/identity/config.js'
import { People, type Statement } from '../../src/domain/identity/people.js'
import { linkKey, usableIdentifiers } from '../../src/domain/identity/resolve.js'
import { loadYaml } from '../../src/yaml-file.js'
import { Dice } from '../support/random-rules.js'

type Row = { id: string; person: string; statement: Statement }

describe('the people of the samples, whose truth is known', () => {
  const rows: Row[] = []
  let config: IdentityConfig

  beforeAll(async () => {
    config = await loadYaml(IdentityConfig, 'examples/gift-shop/config/identity.yaml')
    const lines = readFileSync('samples/members-truth.csv', 'utf8').trimEnd().split('\n').slice(1)
    const truth = new Map(lines.map((line) => line.split(',') as [string, string]))
    const add = (id: string, record: SourceRecord) => {
      const { observedAt: at, source, ref, traits } = record
      const keys = usableIdentifiers(config, record).map(linkKey)
      if (keys.length > 0)
        rows.push({ id, person: truth.get(id)!, statement: { said: { at, source, ref }, keys, traits } })
    }
    const mapping = await loadCsvMapping('examples/gift-shop/config/sources/members.yaml')
    for await (const batch of readCsvRecords(mapping, { onProblem: (p) => expect(p).toBeUndefined() }))
      for (const record of batch.map((r) => SourceRecord.parse(r)))
        add(String(record.events[0]!.properties['recordId']), record)
    const contacts = createReadStream('samples/wecom-contacts.csv').pipe(parse({ columns: true }))
    for await (const contact of contacts as AsyncIterable<Record<string, string>>)
      add(contact['external_userid']!, asRecord(contact))
  }, 60_000)

  it('are found without a mistake, and all of them that may be, in whatever order the rows come', () => {
    const dice = new Dice('samples')
    const shuffled = rows.map((row) => ({ row, at: dice.unit() })).sort((x, y) => x.at - y.at)
    const people = new People({ ...config, confirm: ['birthday', 'name'], sharedAfter: 20 })
    for (let n = 0; n < rows.length; n += 1_000) people.take(shuffled.slice(n, n + 1_000).map((s) => s.row.statement))
    const found = new Map(people.all().flatMap(({ anchor, ids }) => ids.map((id) => [id, anchor] as const)))
    const clusters = new Map(
      rows.flatMap(({ id, statement }) => {
        const person = found.get(statement.keys[0]!)
        return person === undefined ? [] : [[id, person] as const]
      }),
    )
    const truth = new Map(rows.map(({ id, person }) => [id, person]))
    const { foundPairs, correctPairs } = computePairwise(clusters, truth)
    expect({ foundPairs, correctPairs }).toEqual({ foundPairs: 11_841, correctPairs: 11_841 })
    expect(missing(rows, clusters)).toEqual({ 'nothing in common': 1_851, 'two unionids': 60 })
  })
})

/** A contact as the synchronisation says it. */
function asRecord({ external_userid, unionid, remark_mobile, name }: Record<string, string>): SourceRecord {
  return SourceRecord.parse({
    ref: `wecom:${external_userid}`,
    source: 'wecom',
    observedAt: new Date('2011-12-09T12:00:00Z'),
    identifiers: [
      { type: 'external_userid', value: external_userid },
      ...(unionid === '' ? [] : [{ type: 'unionid', value: unionid }]),
      ...(remark_mobile === '' ? [] : [{ type: 'phone', value: remark_mobile }]),
    ],
    traits: { name },
  })
}

/** Pairs of rows of one person that were not found to be, by what is in the way. */
function missing(rows: readonly Row[], clusters: ReadonlyMap<string, string>): Record<string, number> {
  const counts: Record<string, number> = {}
  const byPerson = new Map<string, Row[]>()
  for (const row of rows) byPerson.set(row.person, [...(byPerson.get(row.person) ?? []), row])
  for (const mine of byPerson.values()) {
    for (const [i, x] of mine.entries()) {
      for (const y of mine.slice(i + 1)) {
        if (clusters.get(x.id) !== undefined && clusters.get(x.id) === clusters.get(y.id)) continue
        const why = !areJoined(x, y, mine) ? 'nothing in common' : unionIdsOf(mine).size > 1 ? 'two unionids' : 'other'
        counts[why] = (counts[why] ?? 0) + 1
      }
    }
  }
  return counts
}

function areJoined(x: Row, y: Row, mine: readonly Row[]): boolean {
  const reached = new Set(x.statement.keys)
  for (let before = -1; before !== reached.size;) {
    before = reached.size
    for (const { statement } of mine)
      if (statement.keys.some((k) => reached.has(k))) for (const key of statement.keys) reached.add(key)
  }
  return y.statement.keys.some((k) => reached.has(k))
}

function unionIdsOf(mine: readonly Row[]): Set<string> {
  return new Set(mine.flatMap((r) => r.statement.keys.filter((k) => k.startsWith('unionid:'))))
}
