import {
  consentChangesTable,
  eventsTable,
  identityChangesTable,
  profilesTable,
  tagChangesTable,
  traitChangesTable,
} from '../events/tables.js'
import { profileFilter, type Scope } from './scope.js'
import type { Source } from './source.js'
import { literals, tagFilter, withConsent } from './sql.js'

/** The logs up to an instant: rows that were known by then, the latest by (`known_at`, `seq`). */
export const thenSource: Source = {
  people: ({ nowMs, scope }, traits) =>
    withTraits(
      `SELECT p, groupUniqArrayIf(t, t != '') AS identifier_types FROM (${ownersSql(knownBy(nowMs), scope)})
      GROUP BY p HAVING countIf(unit = concat('p', toString(p))) > 0`,
      `SELECT profile_id AS p, trait, argMax(value, (known_at, seq)) AS v FROM ${traitChangesTable.name}
      WHERE won AND ${knownBy(nowMs)}${traitFilter(traits)}${profileFilter(scope, 'profile_id')} GROUP BY p, trait`,
      `SELECT profile_id AS p, argMax(value, (known_at, seq)) AS consent FROM ${consentChangesTable.name}
      WHERE ${knownBy(nowMs)}${profileFilter(scope, 'profile_id')} GROUP BY p`,
      traits,
    ),

  state: recordedSql,

  events: ({ nowMs, scope }, columns, where) =>
    ownedEvents(scope, ownersSql(knownBy(nowMs), scope), columns, `${where} AND ${knownBy(nowMs)}`),
}

/**
 * The logs as they are today, read by when things happened. Every statement counts, also one that had lost when it was
 * heard: per source the latest, among sources the latest, at one instant that of the source first in the alphabet. People
 * and identifiers are those of today: when somebody got an identifier is told by nobody.
 */
export const happenedSource: Source = {
  people({ nowMs, scope }, traits) {
    const owners = ownersSql(EVER, scope)
    const statements = `FROM ${traitChangesTable.name} INNER JOIN (${owners}) AS o USING (unit) WHERE source != '' AND ${by('observed_at', nowMs)}`
    const heardOf = `SELECT p ${statements} UNION ALL ${ownedEvents(scope, owners, '', by('occurred_at', nowMs))}`
    return withTraits(
      `SELECT profile_id AS p, identifier_types FROM ${profilesTable.name} FINAL
      WHERE merged_into = 0 AND (${by('created_at', nowMs)} OR profile_id IN (${heardOf}))${profileFilter(scope, 'profile_id')}`,
      `SELECT p, trait, argMin(s, (-toUnixTimestamp64Milli(at), source)) AS v FROM (
        SELECT p, trait, source, argMax(said, (observed_at, ref)) AS s, max(observed_at) AS at
        ${statements}${traitFilter(traits)} GROUP BY p, trait, source HAVING s != ''
      ) GROUP BY p, trait`,
      // The later wish counts, at one instant the opt-out.
      `SELECT p, multiIf(maxIf(observed_at, said = 'opted_in') > maxIf(observed_at, said = 'opted_out'), 'opted_in',
        countIf(said = 'opted_out') > 0, 'opted_out', '') AS consent
      FROM ${consentChangesTable.name} INNER JOIN (${owners}) AS o USING (unit)
      WHERE said != '' AND ${by('observed_at', nowMs)} GROUP BY p`,
      traits,
    )
  },

  // What cannot be computed anew is read as it was recorded.
  state: recordedSql,

  events: ({ scope }, columns, where) => ownedEvents(scope, ownersSql(EVER, scope), columns, where),
}

const EVER = '1'

function by(column: string, ms: number): string {
  return `${column} <= fromUnixTimestamp64Milli(${ms}, 'UTC')`
}

function knownBy(ms: number): string {
  return by('known_at', ms)
}

/** SELECT of `unit`, `t` (type of the identifier, or ''), `p`: whose every unit of the scope is, by the rows that count. */
function ownersSql(counts: string, scope: Scope): string {
  const inScope = profileFilter(scope, 'p')
  return `SELECT unit, any(type) AS t, argMax(profile_id, (known_at, seq)) AS p FROM ${identityChangesTable.name}
      WHERE ${counts} GROUP BY unit${inScope === '' ? '' : ` HAVING ${inScope.slice(5)}`}`
}

/**
 * Events by the owner of their unit. Of a few people only those are read that were written for a profile which any of their
 * units ever belonged to: an event stands under the profile that its unit belonged to when it came.
 */
function ownedEvents(scope: Scope, owners: string, columns: string, where: string): string {
  const ever = `SELECT arrayJoin([profile_id, toUInt64OrZero(substring(unit, 2))]) FROM ${identityChangesTable.name} WHERE unit IN (SELECT unit FROM (${owners}))`
  const written = scope.kind === 'profiles' ? ` AND profile_id IN (${ever})` : ''
  return `SELECT ${['p', ...(columns === '' ? [] : [columns])].join(', ')}
      FROM ${eventsTable.name} INNER JOIN (SELECT unit, p FROM (${owners})) AS o USING (unit) WHERE ${where}${written}`
}

/** The last value by the number of its evaluation, as in the state that is kept. */
function recordedSql({ nowMs, scope }: Parameters<Source['state']>[0], tags: ReadonlySet<string>) {
  const rows = `SELECT profile_id AS p, tag_id AS id, argMax(new_value, version) AS value FROM ${tagChangesTable.name}
      WHERE ${tagFilter(tags)} AND ${knownBy(nowMs)}${profileFilter(scope, 'profile_id')} GROUP BY p, id`
  return { p: 'p', id: 'id', value: 'value', from: `(${rows})` }
}

/** @param values - SELECT of `p`, `trait`, `v` @param consents - SELECT of `p`, `consent` */
function withTraits(people: string, values: string, consents: string, traits: ReadonlySet<string> | undefined): string {
  const known =
    traits?.size === 0
      ? `SELECT p, mapFromArrays(emptyArrayString(), emptyArrayString()) AS traits, identifier_types FROM (${people})`
      : `SELECT p, traits, identifier_types FROM (${people}) AS i LEFT JOIN (
      SELECT p, mapFromArrays(groupArray(trait), groupArray(v)) AS traits FROM (${values}) WHERE v != '' GROUP BY p
    ) AS ts USING (p)`
  return withConsent(known, consents, traits)
}

function traitFilter(traits: ReadonlySet<string> | undefined): string {
  return traits === undefined ? '' : ` AND trait IN (${literals([...traits])})`
}
