/** What differs between one engine and a cluster; everything else of the schema is the same text. */
export type SchemaDialect = {
  /** Name of the cluster in the server's configuration; `undefined` for chDB and for a single server. */
  cluster: string | undefined
  /** Parts reach the disk, not only the operating system, before an insert is acknowledged. */
  fsync: boolean
}

export type Migration = { version: number; statements: readonly string[] }

/** Where the store records what was applied. Read before anything else, so it never changes shape. */
export function migrationsTable(dialect: SchemaDialect): string {
  const { onCluster, mergeTree, settings } = clauses(dialect)
  return `CREATE TABLE IF NOT EXISTS schema_migrations${onCluster} (version UInt32, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
    ENGINE = ${mergeTree} ORDER BY version SETTINGS ${settings}`
}

/**
 * Every migration, oldest first. A statement may run twice (a crash between a statement and its record), so each says
 * IF NOT EXISTS. Released migrations are never edited; a change is a new one.
 */
export function migrations(dialect: SchemaDialect): readonly Migration[] {
  const { onCluster, mergeTree, replacing, settings } = clauses(dialect)
  return [
    {
      version: 1,
      statements: [
        // Small granules and blocks: reading a few profiles' events back must not decompress everybody's.
        `CREATE TABLE IF NOT EXISTS events${onCluster} (
          profile_id UInt64, name LowCardinality(String), occurred_at DateTime64(3, 'UTC'), event_id String,
          source LowCardinality(String), amount_minor Int64, properties String, batch UInt64)
        ENGINE = ${mergeTree} ORDER BY (profile_id, occurred_at, event_id)
        SETTINGS index_granularity = 128, min_compress_block_size = 512, max_compress_block_size = 4096, ${settings}`,

        `CREATE TABLE IF NOT EXISTS event_ids${onCluster} (event_id String, batch UInt64)
        ENGINE = ${mergeTree} ORDER BY event_id SETTINGS ${settings}`,
        `CREATE MATERIALIZED VIEW IF NOT EXISTS event_ids_fill${onCluster} TO event_ids AS SELECT event_id, batch FROM events`,

        `CREATE TABLE IF NOT EXISTS profiles${onCluster} (
          profile_id UInt64, anchor String, traits Map(LowCardinality(String), String),
          identifier_types Array(LowCardinality(String)), created_at DateTime64(3, 'UTC'),
          merged_into UInt64 COMMENT '0 = alive', version UInt64)
        ENGINE = ${replacing} ORDER BY profile_id SETTINGS ${settings}`,

        `CREATE TABLE IF NOT EXISTS tag_changes${onCluster} (
          tag_id LowCardinality(String), profile_id UInt64, changed_at DateTime64(3, 'UTC'), old_value String,
          new_value String, cause LowCardinality(String), version UInt64)
        ENGINE = ${mergeTree} ORDER BY (tag_id, changed_at, profile_id) SETTINGS ${settings}`,

        `CREATE TABLE IF NOT EXISTS tag_state${onCluster} (
          profile_id UInt64, tag_id LowCardinality(String), value String, since DateTime64(3, 'UTC'), version UInt64)
        ENGINE = ${replacing} ORDER BY (profile_id, tag_id) SETTINGS ${settings}`,
        `CREATE MATERIALIZED VIEW IF NOT EXISTS tag_state_fill${onCluster} TO tag_state AS
          SELECT profile_id, tag_id, new_value AS value, changed_at AS since, version FROM tag_changes`,
      ],
    },
  ]
}

function clauses({ cluster, fsync }: SchemaDialect) {
  const replicated = cluster !== undefined
  const window = replicated ? 'replicated_deduplication_window' : 'non_replicated_deduplication_window'
  return {
    onCluster: replicated ? ` ON CLUSTER \`${cluster}\`` : '',
    mergeTree: replicated ? 'ReplicatedMergeTree' : 'MergeTree',
    replacing: replicated ? 'ReplicatedReplacingMergeTree(version)' : 'ReplacingMergeTree(version)',
    // Small batches make many small parts: merging twenty at a time instead of five costs a twelfth of the work.
    settings: `merge_selector_base = 20, ${window} = 10000${fsync ? ', fsync_after_insert = 1, fsync_part_directory = 1' : ''}`,
  }
}
