/** Validated literals: chDB serialises parameterised queries process-wide, so values are written into the text. */
export function literal(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'string')
    return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`
  if (!Number.isFinite(value)) throw new RangeError(`not a number SQL can hold: ${value}`)
  return String(value)
}

export function literals(values: readonly (string | number | boolean)[]): string {
  return values.map(literal).join(', ')
}
