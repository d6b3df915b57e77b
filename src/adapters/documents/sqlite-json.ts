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
  let copy: Plain | undefined
  for (const [key, item] of Object.entries(value)) {
    const encoded = encode(item, key)
    const name = ESCAPED.test(key) ? `$${key}` : key
    if (name !== key) delete (copy ??= { ...value })[key]
    if (encoded !== item || name !== key) (copy ??= { ...value })[name] = encoded
  }
  return copy ?? value
}

const ESCAPED = /^\$+date$/

/** Reads `{"$date": ms}` back, in place. */
function decode(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = decode(value[i])
    return value
  }
  if (!isPlain(value)) return value
  if (typeof value.$date === 'number') return new Date(value.$date)
  for (const [key, item] of Object.entries(value)) {
    if (ESCAPED.test(key)) {
      delete value[key]
      value[key.slice(1)] = decode(item)
    } else if (typeof item === 'object') value[key] = decode(item)
  }
  return value
}
