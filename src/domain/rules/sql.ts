import { CONSENT } from '../identity/profile.js'

/** For queries whose planning costs more than their data: the old planner, one thread, nothing compiled to machine code. */
export const SMALL_QUERY =
  "SETTINGS enable_analyzer = 0, max_threads = 1, compile_expressions = 0, compile_aggregate_expressions = 0, local_filesystem_read_method = 'pread'"

/** Validated literals: chDB serialises parameterised queries process-wide, so values are written into the text. */
export function literal(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'string')
    return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`
  if (!Number.isFinite(value)) throw new RangeError(`not a number SQL can hold: ${value}`)
  return String(value)
}

/** Rows of these tags. */
export function tagFilter(tags: ReadonlySet<string>): string {
  return `tag_id IN (${literals(tags.size === 0 ? [''] : [...tags])})`
}

export function literals(values: readonly (string | number | boolean)[]): string {
  return values.map(literal).join(', ')
}

/** Adds the column `consent` where it is wanted. @param consents - SELECT of `p`, `consent` of those who said something */
export function withConsent(people: string, consents: string, traits: ReadonlySet<string> | undefined): string {
  if (traits?.has(CONSENT) === false) return people
  return `SELECT p, traits, identifier_types, consent FROM (${people}) AS k LEFT JOIN (${consents}) AS c USING (p)`
}
