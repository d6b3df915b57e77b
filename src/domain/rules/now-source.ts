import { consentChangesTable, eventsTable, profilesTable, tagStateTable } from '../events/tables.js'
import { profileFilter, type Scope } from './scope.js'
import type { Source } from './source.js'
import { tagFilter, withConsent } from './sql.js'

/** The tables that hold what is known now and nothing else. */
export const nowSource: Source = {
  people: ({ scope }, traits) =>
    withConsent(
      `SELECT profile_id AS p, traits, identifier_types FROM ${profilesTable.name} FINAL WHERE merged_into = 0${profileFilter(scope, 'profile_id')}${upTo(scope, 'version')}`,
      `SELECT profile_id AS p, argMax(value, (known_at, seq)) AS consent FROM ${consentChangesTable.name}
      WHERE 1${profileFilter(scope, 'profile_id')}${upTo(scope, 'seq')} GROUP BY p`,
      traits,
    ),

  state: ({ scope }, tags) => ({
    p: 'profile_id',
    id: 'tag_id',
    value: 'value',
    from: `${tagStateTable.name} FINAL WHERE ${tagFilter(tags)}${profileFilter(scope, 'profile_id')}`,
  }),

  events({ scope }, columns, where) {
    if (scope.kind === 'profiles') {
      const ids = scope.profiles.flatMap((s) => [s.profileId, ...s.aliases])
      const pairs = scope.profiles.flatMap((s) => s.aliases.map((alias) => [alias, s.profileId] as const))
      const p =
        pairs.length === 0
          ? 'profile_id'
          : `transform(profile_id, [${pairs.map((x) => x[0]).join(', ')}], [${pairs.map((x) => x[1]).join(', ')}], profile_id)`
      return `SELECT ${p} AS p, ${columns} FROM ${eventsTable.name} WHERE ${where} AND profile_id IN (${ids.length === 0 ? '0' : ids.join(', ')})`
    }
    const merged = `SELECT profile_id, merged_into FROM ${profilesTable.name} FINAL WHERE merged_into != 0${profileFilter(scope, 'merged_into')}`
    const range = profileFilter(scope, 'profile_id')
    const owned = range === '' ? '' : ` AND ((${range.slice(5)}) OR profile_id IN (SELECT profile_id FROM (${merged})))`
    return `SELECT if(m.merged_into = 0, profile_id, m.merged_into) AS p, ${columns}
      FROM ${eventsTable.name} LEFT ANY JOIN (${merged}) AS m USING (profile_id) WHERE ${where}${owned}${upTo(scope, 'seq')}`
  },
}

function upTo(scope: Scope, column: string): string {
  return scope.kind === 'all' && scope.upTo !== undefined ? ` AND ${column} <= ${scope.upTo}` : ''
}
