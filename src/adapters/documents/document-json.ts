import { isPlain, refused, type Plain } from './language.js'

/**
 * A document as JSON text. A Date becomes `{"$date": ms}`; a field that is itself called `$date` gets one more `$`,
 * so that every document comes back as it went in.
 *
 * @throws {InvalidInputError} for what JSON cannot hold: not-finite numbers, invalid dates
 */
export function toJson(doc: object): string {
  return JSON.stringify(encode(doc, ''))
}

export function fromJson<T>(text: string): T {
  const value = JSON.parse(text) as T
  if (text.includes('"$$')) return decode(value) as T
  return text.includes('"$date":') ? (reviveDates(value) as T) : value
}

/** Shares whatever needs no change: most documents are handed to `JSON.stringify` as they are. */
function encode(value: unknown, path: string): unknown {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(path, `${value} cannot be stored; leave the field out`)
    return value
  }
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) {
    const ms = value.getTime()
    if (Number.isNaN(ms)) throw refused(path, 'an invalid Date cannot be stored')
    return { $date: ms }
  }
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item: unknown = encode(value[i], path)
      if (item !== value[i]) (copy ??= [...(value as unknown[])])[i] = item
    }
    return copy ?? value
  }
  const plain = value as Plain
  let copy: Plain | undefined
  for (const key of Object.keys(plain)) {
    if (isEscaped(key))
      return Object.fromEntries(
        Object.entries(plain).map(([key, item]) => [isEscaped(key) ? `$${key}` : key, encode(item, key)]),
      )
    const item = plain[key]
    const encoded = encode(item, key)
    if (encoded !== item) (copy ??= { ...plain })[key] = encoded
  }
  return copy ?? value
}

function isEscaped(key: string): boolean {
  return key.startsWith('$') && /^\$+date$/.test(key)
}

/** Reads `{"$date": ms}` back, in place. */
function reviveDates(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const at = value as Plain // a list is walked by position just as an object by name
  if (typeof at.$date === 'number') return new Date(at.$date)
  for (const key of Object.keys(at)) if (typeof at[key] === 'object') at[key] = reviveDates(at[key])
  return value
}

/** The same where fields are called `$date` themselves, and are renamed back. */
function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode)
  if (!isPlain(value)) return value
  if (typeof value.$date === 'number') return new Date(value.$date)
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [isEscaped(key) ? key.slice(1) : key, decode(item)]),
  )
}
