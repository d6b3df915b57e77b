import { describe, expect, it } from '@jest/globals'
import { migrations, migrationsTable, type SchemaDialect } from '../../../src/adapters/events/schema.js'

describe('schema of the event store', () => {
  const textsFor = (dialect: SchemaDialect) => [
    migrationsTable(dialect),
    ...migrations(dialect).flatMap((m) => m.statements),
  ]
  const single = textsFor({ cluster: undefined, fsync: false })
  const clustered = textsFor({ cluster: 'main', fsync: false })

  it('numbers its migrations from 1 without gaps', () => {
    const versions = migrations({ cluster: undefined, fsync: false }).map((m) => m.version)
    expect(versions).toEqual(versions.map((_, i) => i + 1))
  })

  it('may repeat every statement', () => {
    for (const text of single) expect(text).toMatch(/^CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS /)
  })

  it('differs on a cluster in ENGINE, ON CLUSTER and the name of the deduplication window only', () => {
    const toSingle = (text: string) =>
      text
        .replaceAll(' ON CLUSTER `main`', '')
        .replaceAll('ReplicatedMergeTree', 'MergeTree')
        .replaceAll('ReplicatedReplacingMergeTree', 'ReplacingMergeTree')
        .replaceAll('replicated_deduplication_window', 'non_replicated_deduplication_window')
    expect(clustered.map(toSingle)).toEqual(single)
    for (const text of clustered) expect(text).toContain(' ON CLUSTER `main`')
    expect(clustered.filter((text) => /ENGINE = (?!Replicated)/.test(text))).toEqual([])
  })
})
