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
  return text.includes('date":') && text.includes('"$') ? (decode(value) as T) : value
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
  const entries = Object.entries(value)
  if (entries.some(([key]) => ESCAPED.test(key)))
    return Object.fromEntries(entries.map(([key, item]) => [ESCAPED.test(key) ? `$${key}` : key, encode(item, key)]))
  let copy: Plain | undefined
  for (const [key, item] of entries) {
    const encoded = encode(item, key)
    if (encoded !== item) (copy ??= { ...value })[key] = encoded
  }
  return copy ?? value
}

const ESCAPED = /^\$+date$/

/** Reads `{"$date": ms}` back; in place, where no field is renamed. */
function decode(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = decode(value[i])
    return value
  }
  if (!isPlain(value)) return value
  if (typeof value.$date === 'number') return new Date(value.$date)
  const entries = Object.entries(value)
  if (entries.some(([key]) => ESCAPED.test(key)))
    return Object.fromEntries(entries.map(([key, item]) => [ESCAPED.test(key) ? key.slice(1) : key, decode(item)]))
  for (const [key, item] of entries) if (typeof item === 'object') value[key] = decode(item)
  return value
}
