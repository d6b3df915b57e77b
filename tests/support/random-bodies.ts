import { deflateSync, gzipSync } from 'node:zlib'
import { Dice } from './random-rules.js'

/** A request of records, as it goes over the wire. */
export type Body = { bytes: Buffer; headers: Record<string, string> }

const NAMES = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__proto__', '__defineGetter__', 'prototype', '', 'a.b', '$set', '$date', 'nul\0', 'half\ud83d', '名字', 'x'.repeat(300), 'city', 'sku'] // prettier-ignore
const TEXTS = ['Acme', 'abc\ud83d', '\udc00', '\ufeffx', 'nul\0nul', "it's", 'a\\b', '', 'null', 'x'.repeat(20_000), '订单', '\u202d1\u202c', '<a href=x>', '🎁'] // prettier-ignore
const NUMBERS = ['0', '-0', '1e400', '-1e400', '1e-400', '9007199254740991', '9007199254740993', '20261130000012345678', '0.1', '1E+10', '-7', '3.14159265358979323846', '01', 'NaN', '-'] // prettier-ignore
const TIMES = ['"2026-11-30T10:00:00+08:00"', '"2026-11-30T12:00:01+08:00"', '"+275760-09-13T00:00:00Z"', '"2099-01-01T00:00:00Z"', '"0001-01-01T00:00:00Z"', '1796011200000', '8640000000000000', '-1', '"2026-11-30 10:00"', 'null'] // prettier-ignore
const EVENTS = ['order_paid', 'registered', 'opted_in', 'opted_out', 'constructor', 'contact_added', 'made_up', 'Bad Name', 'journey_entered'] // prettier-ignore
const SOURCES = ['shop', 'constructor', 'pos', 'siyu', 'Shop!', '']
const TYPES = ['member_id', 'phone', 'unionid', 'openid:wx1', 'constructor', 'Phone']

/**
 * Bodies by a grammar that goes wrong wherever senders do, and by bytes: the same for the same seed. What a record is known by
 * rests on `n`, so that two of different numbers never speak of one event.
 */
export function randomBody(seed: string, n: number): Body {
  const d = new Dice(`${seed} ${n}`)
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  let bytes: Buffer = Buffer.from(d.chance(0.9) ? bodyText(d, n) : noise(d), 'utf8')
  if (d.chance(0.05)) bytes = bytes.subarray(0, d.below(bytes.length + 1))
  if (d.chance(0.05) && bytes.length > 0) bytes[d.below(bytes.length)] = d.below(256)
  if (d.chance(0.1)) {
    headers['Content-Encoding'] = d.pick(['gzip', 'deflate', 'gzip', 'br', 'none'])
    if (headers['Content-Encoding'] === 'gzip') bytes = gzipSync(bytes)
    if (headers['Content-Encoding'] === 'deflate') bytes = deflateSync(bytes)
    if (d.chance(0.3)) bytes = bytes.subarray(0, d.below(bytes.length + 1))
  }
  if (d.chance(0.03)) headers['Content-Type'] = d.pick(['text/plain', 'application/json; charset=utf-16', 'x'])
  return { bytes, headers }
}

function bodyText(d: Dice, n: number): string {
  if (d.chance(0.03)) return `{"records":${'['.repeat(d.below(20_000))}`
  if (d.chance(0.03)) return `{"records":[${nested(d.below(5_000))}]}`
  const records = Array.from({ length: d.chance(0.03) ? 1_000 + d.below(3) : d.below(6) }, (_, i) =>
    d.chance(0.93) ? record(d, `${n}-${i}`) : value(d, 2),
  )
  const key = d.chance(0.2)
    ? `,"key":${text(d.pick(['k', `k${n}`, 'card:1', 'nul\0', '', 'x'.repeat(300), 'k\ud83d']))}`
    : ''
  const more = d.chance(0.05) ? `,${text(d.pick(NAMES))}:${value(d, 1)}` : ''
  return `{"records":[${records.join(',')}]${key}${more}}`
}

function record(d: Dice, id: string): string {
  const fields = [
    `"ref":${text(d.chance(0.95) ? `r${id}` : d.pick(TEXTS))}`,
    `"source":${text(d.chance(0.8) ? 'shop' : d.pick(SOURCES))}`,
    `"observedAt":${d.chance(0.8) ? TIMES[0]! : d.pick(TIMES)}`,
    `"identifiers":[${many(d, 3, () => `{"type":${text(d.chance(0.8) ? 'member_id' : d.pick(TYPES))},"value":${text(d.chance(0.8) ? `m${d.below(500)}` : d.pick(TEXTS))}}`)}]`,
  ]
  if (d.chance(0.6)) fields.push(`"traits":${object(d, 4, () => (d.chance(0.7) ? scalar(d) : value(d, 2)))}`)
  if (d.chance(0.7)) fields.push(`"events":[${many(d, 4, (i) => event(d, `${id}-${i}`))}]`)
  if (d.chance(0.04)) fields.push(`${text(d.pick(NAMES))}:${value(d, 2)}`)
  return `{${fields.join(',')}}`
}

function event(d: Dice, id: string): string {
  const fields = [
    `"id":${text(d.chance(0.1) ? `e${id}\ud83d` : `e${id}`)}`,
    `"name":${text(d.chance(0.8) ? d.pick(EVENTS.slice(0, 5)) : d.pick(EVENTS))}`,
    `"occurredAt":${d.chance(0.8) ? TIMES[0]! : d.pick(TIMES)}`,
  ]
  if (d.chance(0.5)) fields.push(`"amountMinor":${d.chance(0.8) ? d.below(10_000) : d.pick(NUMBERS)}`)
  if (d.chance(0.6))
    fields.push(`"properties":${d.chance(0.05) ? nested(d.below(3_000)) : object(d, 4, () => value(d, 3))}`)
  return `{${fields.join(',')}}`
}

function object(d: Dice, most: number, item: () => string): string {
  return `{${many(d, most, () => `${text(d.pick(NAMES))}:${item()}`)}}`
}

function value(d: Dice, depth: number): string {
  if (depth === 0 || d.chance(0.6)) return scalar(d)
  return d.chance(0.5) ? `[${many(d, 3, () => value(d, depth - 1))}]` : object(d, 3, () => value(d, depth - 1))
}

function scalar(d: Dice): string {
  return d.pick([() => text(d.pick(TEXTS)), () => d.pick(NUMBERS), () => d.pick(['true', 'false', 'null'])])()
}

/** Lists and objects, one inside the other. */
function nested(depth: number): string {
  return `${'{"a":['.repeat(depth)}1${']}'.repeat(depth)}`
}

function many(d: Dice, most: number, item: (i: number) => string): string {
  return Array.from({ length: d.below(most + 1) }, (_, i) => item(i)).join(',')
}

/** Halves of characters are escaped, as JSON has them. */
function text(said: string): string {
  return JSON.stringify(said)
}

function noise(d: Dice): string {
  return Array.from({ length: d.below(200) }, () => String.fromCharCode(d.below(d.chance(0.5) ? 128 : 65_536))).join('')
}
