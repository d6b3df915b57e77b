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
