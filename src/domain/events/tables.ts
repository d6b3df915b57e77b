/**
 * Tables and columns of the event store: the one place where their names stand. The schema, inserts and the SQL of rules
 * are made from this. It is pure, so it is where `domain/` and `ports/` both may see it.
 */

/** Engine types in use, and what a value of each is in a row that is inserted. */
type Values = {
  UInt32: number
  /** All of ours stay below 2^53. */
  UInt64: number
  Int64: number
  Bool: boolean
  String: string
  'LowCardinality(String)': string
  'Array(LowCardinality(String))': readonly string[]
  'Map(LowCardinality(String), String)': Readonly<Record<string, string>>
  "DateTime64(3, 'UTC')": Date
}

export type Column = {
  type: keyof Values
  /** Version of the schema that brought the column. */
  since: number
  /** SQL of the value where a row gives none, and of rows older than the column. */
  default?: string
  comment?: string
}

export type Columns = Readonly<Record<string, Column>>

export type Table<C extends Columns = Columns> = { readonly name: string; readonly columns: C }

type Optional<C extends Columns> = { [K in keyof C]: C[K] extends { default: string } ? K : never }[keyof C]

/** A row as it is inserted. Columns with a default may be left out. */
export type Row<C extends Columns> = { readonly [K in Exclude<keyof C, Optional<C>>]: Values[C[K]['type']] } & {
  readonly [K in Optional<C>]?: Values[C[K]['type']]
}

/** A row of a table, by the table: `RowOf<typeof eventsTable>`. */
export type RowOf<T> = T extends Table<infer C> ? Row<C> : never

function defineTable<const C extends Columns>(name: string, columns: C): Table<C> {
  return { name, columns }
}

const INSTANT = { type: "DateTime64(3, 'UTC')", since: 1 } as const
const ID = { type: 'UInt64', since: 1 } as const
const TEXT = { type: 'String', since: 1 } as const
const WORD = { type: 'LowCardinality(String)', since: 1 } as const
const FLAG = { type: 'Bool', since: 1 } as const

/** The stored `now` of the group that applied the row, and the group's place among all: neither ever falls. */
const KNOWN = { known_at: { ...INSTANT, since: 2 }, seq: { ...ID, since: 2 } } as const

/** What owns an event or a statement for good, whoever is found to be one person later: see `identityUnit`. */
const UNIT = { ...TEXT, since: 2 } as const

/** What the store's schema was brought up to. Read before anything else, so it never changes shape. */
export const migrationsTable = defineTable('schema_migrations', {
  version: { type: 'UInt32', since: 1 },
  applied_at: { ...INSTANT, default: 'now64(3)' },
})

export const eventsTable = defineTable('events', {
  profile_id: ID,
  name: WORD,
  occurred_at: INSTANT,
  event_id: TEXT,
  source: WORD,
  amount_minor: { type: 'Int64', since: 1 },
  has_amount: { ...FLAG, since: 5, default: 'true', comment: 'false: none was said, and the amount stands as 0' },
  properties: TEXT,
  batch: ID,
  unit: { ...UNIT, default: "concat('p', toString(profile_id))" },
  ...KNOWN,
  said_at: {
    ...INSTANT,
    since: 5,
    default: 'occurred_at',
    comment: 'as it was told, where that lay ahead of our clock',
  },
})

/** The mark that documents and events have in common: `src/app/pair-stores.ts`. */
export const storesTable = defineTable('stores', { store: { ...TEXT, since: 5 } })

/** Which events are there; filled from `eventsTable`. An id is its source's. */
export const eventIdsTable = defineTable('event_ids', {
  source: { ...WORD, since: 5, default: "''" },
  event_id: TEXT,
  batch: ID,
})

/** The columnar copy of profiles that rules read. */
export const profilesTable = defineTable('profiles', {
  profile_id: ID,
  anchor: TEXT,
  traits: { type: 'Map(LowCardinality(String), String)', since: 1 },
  identifier_types: { type: 'Array(LowCardinality(String))', since: 1 },
  created_at: INSTANT,
  merged_into: { ...ID, comment: '0 = alive' },
  version: ID,
  ...KNOWN,
})

/** Every value a tag or a stage was given. */
export const tagChangesTable = defineTable('tag_changes', {
  tag_id: WORD,
  profile_id: ID,
  changed_at: INSTANT,
  old_value: TEXT,
  new_value: TEXT,
  cause: WORD,
  version: ID,
  known_at: { ...KNOWN.known_at, default: 'changed_at' },
  seq: { ...KNOWN.seq, default: 'version' },
})

/** The latest value of each tag of a profile; filled from `tagChangesTable`. */
export const tagStateTable = defineTable('tag_state', {
  profile_id: ID,
  tag_id: WORD,
  value: TEXT,
  since: INSTANT,
  version: ID,
})

/** Numbers of evaluations that append nothing any more, and with each all lower ones: see `appendRange`. */
export const closedNumbersTable = defineTable('closed_numbers', { seq: { ...ID, since: 4 } })

/** What is said of a person by somebody, as it is logged: with what counts for her once it was heard. */
const STATEMENT = {
  profile_id: ID,
  unit: UNIT,
  said: { ...TEXT, comment: 'empty: withdrawn' },
  value: { ...TEXT, comment: 'what counts afterwards; empty: nothing' },
  source: { ...WORD, comment: 'empty: nobody said it, two profiles became one' },
  observed_at: INSTANT,
  ref: TEXT,
  won: { ...FLAG, comment: 'it is what counts, or its withdrawal' },
  ...KNOWN,
  said_at: {
    ...INSTANT,
    since: 5,
    default: 'observed_at',
    comment: 'as it was told, where that lay ahead of our clock',
  },
} as const

/** Every statement about a trait. The value known at T is that of the last one that won by then. */
export const traitChangesTable = defineTable('trait_changes', { trait: WORD, ...STATEMENT })

/** Every wish to be written to or not: `opted_in`, `opted_out`. */
export const consentChangesTable = defineTable('consent_changes', STATEMENT)

/** Which profile a unit belongs to, from an instant on. */
export const identityChangesTable = defineTable('identity_changes', {
  unit: UNIT,
  type: {
    ...WORD,
    comment: 'of the identifier; empty: a profile itself, or a shared identifier, which identifies nobody',
  },
  profile_id: ID,
  ...KNOWN,
})

/** Tables that hold what others say; the rest are written to. */
export const filledTables: ReadonlySet<Table> = new Set<Table>([eventIdsTable, tagStateTable])

/** Every table but those of migrations and of the mark. */
export const tables: readonly Table[] = [
  eventsTable,
  eventIdsTable,
  profilesTable,
  tagChangesTable,
  tagStateTable,
  closedNumbersTable,
  traitChangesTable,
  consentChangesTable,
  identityChangesTable,
]
