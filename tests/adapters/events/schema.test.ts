import { describe, expect, it } from '@jest/globals'
import { migrations, createMigrationsTable, type SchemaDialect } from '../../../src/adapters/events/schema.js'

describe('schema of the event store', () => {
  const textsFor = (dialect: SchemaDialect) => [
    createMigrationsTable(dialect),
    ...migrations(dialect).flatMap((m) => m.statements.map((s) => s.sql)),
  ]
  const single = textsFor({ cluster: undefined, fsync: false })
  const clustered = textsFor({ cluster: 'main', fsync: false })

  it('numbers its migrations from 1 without gaps', () => {
    const versions = migrations({ cluster: undefined, fsync: false }).map((m) => m.version)
    expect(versions).toEqual(versions.map((_, i) => i + 1))
  })

  it('keeps a released migration as it was, whatever columns came later', () => {
    const [first] = migrations({ cluster: undefined, fsync: false })
    expect(first!.statements.map(({ sql }) => sql.split(/ (?:ENGINE|AS) /)[0])).toEqual([
      "CREATE TABLE IF NOT EXISTS events (profile_id UInt64, name LowCardinality(String), occurred_at DateTime64(3, 'UTC'), event_id String, source LowCardinality(String), amount_minor Int64, properties String, batch UInt64)",
      'CREATE TABLE IF NOT EXISTS event_ids (event_id String, batch UInt64)',
      'CREATE MATERIALIZED VIEW IF NOT EXISTS event_ids_fill TO event_ids',
      "CREATE TABLE IF NOT EXISTS profiles (profile_id UInt64, anchor String, traits Map(LowCardinality(String), String), identifier_types Array(LowCardinality(String)), created_at DateTime64(3, 'UTC'), merged_into UInt64 COMMENT '0 = alive', version UInt64)",
      "CREATE TABLE IF NOT EXISTS tag_changes (tag_id LowCardinality(String), profile_id UInt64, changed_at DateTime64(3, 'UTC'), old_value String, new_value String, cause LowCardinality(String), version UInt64)",
      "CREATE TABLE IF NOT EXISTS tag_state (profile_id UInt64, tag_id LowCardinality(String), value String, since DateTime64(3, 'UTC'), version UInt64)",
      'CREATE MATERIALIZED VIEW IF NOT EXISTS tag_state_fill TO tag_state',
    ])
  })

  it('may repeat every statement', () => {
    const guarded = migrations({ cluster: undefined, fsync: false }).flatMap((m) =>
      m.statements.flatMap(({ sql, when }) => (when === undefined ? [] : [sql])),
    )
    expect(guarded.map((text) => text.split(' ', 2).join(' '))).toEqual(
      // Twice: tags by tag, events by source.
      ['INSERT INTO', 'EXCHANGE TABLES', 'INSERT INTO', 'EXCHANGE TABLES'],
    )
    for (const text of single.filter((t) => !guarded.includes(t)))
      expect(text).toMatch(
        /^(CREATE (TABLE|MATERIALIZED VIEW) IF NOT|DROP (TABLE|VIEW) IF|ALTER TABLE \w+ ADD COLUMN IF NOT) EXISTS /,
      )
  })

  it('differs on a cluster in ENGINE, ON CLUSTER and the name of the deduplication window only', () => {
    const toSingle = (text: string) =>
      text
        .replaceAll(' ON CLUSTER `main`', '')
        .replaceAll('ReplicatedMergeTree', 'MergeTree')
        .replaceAll('ReplicatedReplacingMergeTree', 'ReplacingMergeTree')
        .replaceAll('replicated_deduplication_window', 'non_replicated_deduplication_window')
    expect(clustered.map(toSingle)).toEqual(single)
    // Rows reach the other replicas by themselves.
    for (const text of clustered.filter((t) => !t.startsWith('INSERT'))) expect(text).toContain(' ON CLUSTER `main`')
    expect(clustered.filter((text) => /ENGINE = (?!Replicated)/.test(text))).toEqual([])
  })
})
