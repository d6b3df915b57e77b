import {
  closedNumbersTable,
  type Column,
  consentChangesTable,
  eventIdsTable,
  eventsTable,
  identityChangesTable,
  migrationsTable,
  profilesTable,
  storesTable,
  type Table,
  tagChangesTable,
  tagStateTable,
  traitChangesTable,
} from '../../domain/events/tables.js'

/** What differs between one engine and a cluster; everything else of the schema is the same text. */
export type SchemaDialect = {
  /** Name of the cluster in the server's configuration; `undefined` for chDB and for a single server. */
  cluster: string | undefined
  /** Parts reach the disk, not only the operating system, before an insert is acknowledged. */
  fsync: boolean
}

/** With `when` it is left out while that SELECT counts nothing (column `n`). */
export type Statement = { sql: string; when?: string }

export type Migration = { version: number; statements: readonly Statement[] }

/** Where the store records what was applied. */
export function createMigrationsTable(dialect: SchemaDialect): string {
  const { mergeTree, settings } = clauses(dialect)
  return `${create(migrationsTable, dialect, 1)} ENGINE = ${mergeTree} ORDER BY version SETTINGS ${settings}`
}

/**
 * Every migration, oldest first. After a crash a migration runs again from its first statement, so each may run twice.
 * Released migrations are never edited; a change is a new one.
 */
export function migrations(dialect: SchemaDialect): readonly Migration[] {
  const { onCluster, mergeTree, replacing, settings } = clauses(dialect)
  const createFill = ({ name }: Table, select: string) =>
    `CREATE MATERIALIZED VIEW IF NOT EXISTS ${name}_fill${onCluster} TO ${name} AS ${select}`
  const fillTagState = createFill(
    tagStateTable,
    `SELECT profile_id, tag_id, new_value AS value, changed_at AS since, version FROM ${tagChangesTable.name}`,
  )
  const nextTagState = { ...tagStateTable, name: `${tagStateTable.name}_next` }
  const whenByProfile = `SELECT count() AS n FROM system.tables
    WHERE database = currentDatabase() AND name = '${tagStateTable.name}' AND sorting_key = 'profile_id, tag_id'`
  const nextEventIds = { ...eventIdsTable, name: `${eventIdsTable.name}_next` }
  const whenById = `SELECT count() AS n FROM system.tables
    WHERE database = currentDatabase() AND name = '${eventIdsTable.name}' AND sorting_key = 'event_id'`
  return [
    {
      version: 1,
      statements: plain(
        // Small granules and blocks: reading a few profiles' events back must not decompress everybody's.
        `${create(eventsTable, dialect, 1)} ENGINE = ${mergeTree} ORDER BY (profile_id, occurred_at, event_id)
        SETTINGS index_granularity = 128, min_compress_block_size = 512, max_compress_block_size = 4096, ${settings}`,

        `${create(eventIdsTable, dialect, 1)} ENGINE = ${mergeTree} ORDER BY event_id SETTINGS ${settings}`,
        createFill(eventIdsTable, `SELECT event_id, batch FROM ${eventsTable.name}`),

        `${create(profilesTable, dialect, 1)} ENGINE = ${replacing} ORDER BY profile_id SETTINGS ${settings}`,

        `${create(tagChangesTable, dialect, 1)} ENGINE = ${mergeTree} ORDER BY (tag_id, changed_at, profile_id)
        SETTINGS ${settings}`,

        `${create(tagStateTable, dialect, 1)} ENGINE = ${replacing} ORDER BY (profile_id, tag_id) SETTINGS ${settings}`,
        fillTagState,
      ),
    },
    {
      // What was known when.
      version: 2,
      statements: plain(
        addColumns(eventsTable, dialect, 2),
        addColumns(profilesTable, dialect, 2),
        addColumns(tagChangesTable, dialect, 2),
        `${create(traitChangesTable, dialect, 2)} ENGINE = ${mergeTree} ORDER BY (trait, profile_id, known_at, seq)
        SETTINGS ${settings}`,
        `${create(consentChangesTable, dialect, 2)} ENGINE = ${mergeTree} ORDER BY (profile_id, known_at, seq)
        SETTINGS ${settings}`,
        `${create(identityChangesTable, dialect, 2)} ENGINE = ${mergeTree} ORDER BY (unit, known_at, seq)
        SETTINGS ${settings}`,
      ),
    },
    {
      // A question about many people reads the rows of a tag, which now stand together. Small granules keep the other way,
      // a few profiles' tags, as quick as it was.
      version: 3,
      statements: [
        ...plain(`${create(nextTagState, dialect, 3)} ENGINE = ${replacing} ORDER BY (tag_id, profile_id)
        SETTINGS index_granularity = 256, min_compress_block_size = 512, max_compress_block_size = 8192, ${settings}`),
        {
          sql: `INSERT INTO ${nextTagState.name} (${Object.keys(tagStateTable.columns).join(', ')})
          SELECT ${Object.keys(tagStateTable.columns).join(', ')} FROM ${tagStateTable.name} FINAL`,
          when: whenByProfile,
        },
        { sql: `EXCHANGE TABLES ${tagStateTable.name} AND ${nextTagState.name}${onCluster}`, when: whenByProfile },
        ...plain(
          `DROP VIEW IF EXISTS ${tagStateTable.name}_fill${onCluster} SYNC`,
          fillTagState,
          `DROP TABLE IF EXISTS ${nextTagState.name}${onCluster} SYNC`,
        ),
      ],
    },
    {
      version: 4,
      statements: plain(
        `${create(closedNumbersTable, dialect, 4)} ENGINE = ${mergeTree} ORDER BY seq SETTINGS ${settings}`,
      ),
    },
    {
      // Whether an amount was said; an event's id is its source's; and what was told ahead of our clock is kept beside what it counts as.
      version: 5,
      statements: [
        ...plain(
          addColumns(eventsTable, dialect, 5),
          addColumns(traitChangesTable, dialect, 5),
          addColumns(consentChangesTable, dialect, 5),
          `${create(nextEventIds, dialect, 5)} ENGINE = ${mergeTree} ORDER BY (event_id, source) SETTINGS ${settings}`,
          `${create(storesTable, dialect, 5)} ENGINE = ${mergeTree} ORDER BY store SETTINGS ${settings}`,
        ),
        {
          sql: `INSERT INTO ${nextEventIds.name} (source, event_id, batch) SELECT source, event_id, batch FROM ${eventsTable.name}`,
          when: whenById,
        },
        { sql: `EXCHANGE TABLES ${eventIdsTable.name} AND ${nextEventIds.name}${onCluster}`, when: whenById },
        ...plain(
          `DROP VIEW IF EXISTS ${eventIdsTable.name}_fill${onCluster} SYNC`,
          createFill(eventIdsTable, `SELECT source, event_id, batch FROM ${eventsTable.name}`),
          `DROP TABLE IF EXISTS ${nextEventIds.name}${onCluster} SYNC`,
        ),
      ],
    },
  ]
}

function plain(...statements: readonly string[]): Statement[] {
  return statements.map((sql) => ({ sql }))
}

/** CREATE TABLE with the columns that a version of the schema knows, without the engine. */
function create({ name, columns }: Table, dialect: SchemaDialect, version: number): string {
  const known = Object.entries(columns).filter(([, column]) => column.since <= version)
  const list = known.map(([column, says]) => describeColumn(column, says)).join(', ')
  return `CREATE TABLE IF NOT EXISTS ${name}${clauses(dialect).onCluster} (${list})`
}

/** ALTER TABLE with the columns that a version of the schema brought. */
function addColumns({ name, columns }: Table, dialect: SchemaDialect, version: number): string {
  const added = Object.entries(columns).filter(([, column]) => column.since === version)
  const list = added.map(([column, says]) => `ADD COLUMN IF NOT EXISTS ${describeColumn(column, says)}`).join(', ')
  return `ALTER TABLE ${name}${clauses(dialect).onCluster} ${list}`
}

function describeColumn(name: string, { type, comment, ...column }: Column): string {
  const value = column.default === undefined ? '' : ` DEFAULT ${column.default}`
  return `${name} ${type}${value}${comment === undefined ? '' : ` COMMENT '${comment}'`}`
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
