import { z } from 'zod'
import { InvalidInputError, type Problem } from './errors.js'
import { said, sentencesOf } from './said.js'
import { parseDurationMs, parseTimeOfDay } from './time.js'

/** A time of day as people write it; `parseTimeOfDay` gives its minutes. */
export const TimeOfDay = z
  .string()
  .refine(
    (text) => parseTimeOfDay(text) !== undefined,
    said('不是时刻；写成 HH:MM，如 09:30', 'not a time of day; write HH:MM, e.g. 09:30'),
  )

/** `7d`, `24h`, `15m`, `90s`, `2w`; milliseconds once parsed. */
export const DurationMs = z
  .string()
  .describe(said('时长：90s、15m、24h、7d、2w', 'a duration: 90s, 15m, 24h, 7d, 2w'))
  .transform((text, ctx) => {
    const ms = parseDurationMs(text)
    if (ms === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: said('不是时长；写成 90s、15m、24h、7d 或 2w', 'not a duration; write 90s, 15m, 24h, 7d or 2w'),
      })
      return z.NEVER
    }
    return ms
  })

/** Its own field, its schema and its name for people. */
export type UnionKind<T = unknown> = { schema: z.ZodType<T>; words: { zh: string; en: string } }
type KindsDef = z.core.$ZodUnionDef & { what: string; kinds: Readonly<Record<string, UnionKind>> }
interface Kinds extends z.ZodType {
  _zod: z.core.$ZodTypeInternals & { def: KindsDef }
}

/** Built as zod builds its discriminated union, which tells the options apart by a value, not by a field that is there. */
const KeyedUnion = z.core.$constructor<Kinds>('KeyedUnion', (inst, def) => {
  z.ZodUnion.init(inst as unknown as z.ZodUnion, def)
  inst._zod.parse = (payload, ctx) => {
    const input: unknown = payload.value
    if (input === null || typeof input !== 'object' || Array.isArray(input)) {
      payload.issues.push({ code: 'invalid_type', expected: 'object', input, inst })
      return payload
    }
    const named = Object.keys(def.kinds).filter((kind) => kind in input)
    if (named.length === 1) return def.kinds[named[0]!]!.schema._zod.run(payload, ctx)
    const value = input as Record<string, unknown>
    const known = new Set(def.options.flatMap((o) => ('shape' in o ? Object.keys(o.shape as object) : [])))
    const keys = Object.keys(input).filter((key) => !known.has(key))
    const { zh, en } = sentencesOf(def.what)
    if (named.length === 0 && keys.length > 0)
      payload.issues.push({ code: 'unrecognized_keys', keys, input: value, inst })
    else {
      const message =
        named.length === 0
          ? said(`${zh}要有一个字段说明是哪一种`, `${en} says which kind it is by a field of its own`)
          : said(
              `${named.join('、')} 各是一种，不能写在一起`,
              `${named.join(' and ')} are ${en} each, not one together`,
            )
      const list = Object.entries(def.kinds)
      const hint = said(
        `可以写：${list.map(([kind, { words }]) => `${kind} ${words.zh}`).join('；')}`,
        `one of: ${list.map(([kind, { words }]) => `${kind} ${words.en}`).join('; ')}`,
      )
      payload.issues.push({ code: 'custom', message, params: { hint }, input, inst })
    }
    return payload
  }
})

/**
 * Objects of several kinds, each with a field that only it has: `{ event: … }`, `{ tag: … }`. What is wrong is said of the
 * kind that is meant, not of all.
 *
 * @param what - one of them, for messages: `said('一条规则', 'a rule')`
 */
export function keyedUnion<K extends Readonly<Record<string, UnionKind>>>(
  what: string,
  kinds: K,
): z.ZodType<z.output<K[keyof K]['schema']>, z.input<K[keyof K]['schema']>> {
  const options = Object.values(kinds).map((kind) => kind.schema)
  return new KeyedUnion({ type: 'union', options, what, kinds }) as unknown as z.ZodType<never, never>
}

/** Of a union the options that `value` can mean: of a discriminated or keyed one those that its field names. */
export function meantOptions(def: z.core.$ZodUnionDef, value: unknown): readonly z.core.$ZodType[] {
  if (value === null || typeof value !== 'object') return def.options
  const { discriminator: field, kinds } = def as Partial<z.core.$ZodDiscriminatedUnionDef & KindsDef>
  const meant =
    kinds !== undefined
      ? Object.entries(kinds).flatMap(([kind, { schema }]) => (kind in value ? [schema] : []))
      : field !== undefined
        ? def.options.filter((o) => o._zod.propValues?.[field]?.has((value as Record<string, never>)[field]))
        : []
  return meant.length > 0 ? meant : def.options
}

/** Problems of one input that are told: nobody reads more, and a sender could make them as many as he likes. */
const TOLD = 100

/** Parses outside input; up to 100 problems are reported at once. @throws {InvalidInputError} */
export function parseInput<S extends z.ZodType>(
  schema: S,
  input: unknown,
  what = said('输入有误', 'Invalid input'),
): z.infer<S> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new InvalidInputError(what, toProblems(result.error, input, TOLD))
}

/** Zod issues as problems, with the offending value (shortened) in the message. @param most - of them that are told */
export function toProblems(error: z.ZodError, input?: unknown, most = Infinity): Problem[] {
  return misfitsOf(error, input, most).map(({ path, ...said }) => ({ path: path.map(String).join('.'), ...said }))
}

type Misfit = Omit<Problem, 'path'> & { path: PropertyKey[] }

function misfitsOf(error: z.ZodError, input: unknown, most = Infinity): Misfit[] {
  const misfits: Misfit[] = []
  for (const issue of error.issues) {
    if (misfits.length >= most) break
    misfits.push(...issueToMisfits(issue, input, most - misfits.length))
  }
  return misfits
}

/** Of the name of a field; a longer one is nobody's. */
const NAME_CHARS = 200

function issueToMisfits(issue: z.core.$ZodIssue, input: unknown, most: number): Misfit[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, most).map((key) => ({
      path: [...issue.path, key.length > NAME_CHARS ? shortened(key) : key],
      message: said(`没有 "${shortened(key)}" 这个字段`, `unknown field "${shortened(key)}"`),
      hint: said('删掉它，或改正拼写', 'remove it or correct its spelling'),
    }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // Meant is the branch that knows the author's fields, lacks none, and got furthest.
    const meant =
      [...issue.errors].sort(
        (a, b) =>
          strangersIn(a) - strangersIn(b) ||
          missingIn(a) - missingIn(b) ||
          depthOf(b) - depthOf(a) ||
          a.length - b.length,
      )[0] ?? []
    const deeper = meant.filter((i) => i.path.length > 0 || i.code === 'unrecognized_keys')
    if (deeper.length > 0) {
      return deeper.flatMap((i) => issueToMisfits({ ...i, path: [...issue.path, ...i.path] }, input, most))
    }
  }
  const value = valueAt(input, issue.path)
  const { zh, en } = sentencesOf(messageOfIssue(issue, value, input))
  const shown = value === undefined ? undefined : shortened(preview(value, SHOWN_CHARS))
  const message = shown === undefined ? said(zh, en) : said(`${zh}（写的是 ${shown}）`, `${en} (got ${shown})`)
  const hint: unknown = issue.code === 'custom' ? issue.params?.['hint'] : undefined
  return [{ path: [...issue.path], message, ...(typeof hint === 'string' && { hint }) }]
}

const zodZh = z.locales.zhCN().localeError
const zodEn = z.locales.en().localeError

/** What zod says by itself is said in plain words, else in zod's, in both languages. */
function messageOfIssue(issue: z.core.$ZodIssue, value: unknown, input: unknown): string {
  const raw = { ...issue, input: value } as z.core.$ZodRawIssue
  const textIn = (language: typeof zodZh) => {
    const text = language(raw)
    return typeof text === 'string' ? text : text?.message
  }
  const zh = textIn(zodZh)
  if (zh === undefined || textIn(zodEn) !== issue.message) return issue.message
  // Of what was not handed over nobody can tell whether it is there, but by what zod says.
  const isMissing = value === undefined && (input !== undefined || issue.message.endsWith('received undefined'))
  if (isMissing && MISSABLE.has(issue.code)) return said('缺少这个字段', 'this field is missing')
  return plainWords(issue) ?? said(zh, issue.message)
}

const MISSABLE: ReadonlySet<string> = new Set(['invalid_type', 'invalid_union', 'invalid_value'])

const TYPES: Readonly<Record<string, string>> = {
  string: said('要写文字', 'must be text'),
  number: said('要写数字', 'must be a number'),
  int: said('要写整数', 'must be a whole number'),
  boolean: said('要写 true 或 false', 'must be true or false'),
  array: said('要写成列表', 'must be a list'),
  object: said('要写成一组字段（名: 值）', 'must be fields (name: value)'),
  record: said('要写成一组字段（名: 值）', 'must be fields (name: value)'),
}

function plainWords(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected]
    case 'invalid_union':
      return said('这里不能这样写', 'cannot be written like this here')
    case 'invalid_value': {
      const [values, isOne] = [issue.values.map(String), issue.values.length === 1]
      return said(
        `只能写${isOne ? ' ' : '其中之一：'}${values.join('、')}`,
        `must be ${isOne ? '' : 'one of: '}${values.join(', ')}`,
      )
    }
    case 'invalid_format':
      return issue.format === 'regex'
        ? said(`写法不对，要符合 ${issue.pattern}`, `has the wrong form; it must match ${issue.pattern}`)
        : undefined
    case 'too_small':
      return issue.exact === true ? undefined : bound(issue.origin, issue.inclusive, issue.minimum, LEAST)
    case 'too_big':
      return issue.exact === true ? undefined : bound(issue.origin, issue.inclusive, issue.maximum, MOST)
    default:
      return undefined
  }
}

type BoundWords = Readonly<Record<'zh' | 'en' | 'zhOver' | 'enOver', string>>
const LEAST: BoundWords = { zh: '至少', en: 'at least', zhOver: '要大于', enOver: 'more than' }
const MOST: BoundWords = { zh: '最多', en: 'at most', zhOver: '要小于', enOver: 'less than' }
const COUNTED: Readonly<Record<string, readonly [zh: string, en: string]>> = {
  array: [' 项', 'item'],
  string: [' 个字符', 'character'],
}

function bound(origin: string, inclusive: boolean | undefined, limit: number | bigint, words: BoundWords) {
  if (origin !== 'number' && origin !== 'int' && COUNTED[origin] === undefined) return undefined
  const [zh, en] = inclusive === false ? [words.zhOver, words.enOver] : [words.zh, words.en]
  const [unit, counted] = COUNTED[origin] ?? ['', '']
  const what = counted === '' ? `be ${en} ${limit}` : `have ${en} ${limit} ${counted}${Number(limit) === 1 ? '' : 's'}`
  return said(`${zh} ${limit}${unit}`, `must ${what}`)
}

/**
 * As much of an input that does not fit as does: without the fields and items that are wrong, each as small as it can be. A field of the
 * top that cannot be saved is absent.
 *
 * @returns `placeOf`: where something of the part stands in the input
 */
export function salvage<S extends z.ZodObject>(
  schema: S,
  input: unknown,
): { part: Partial<z.infer<S>>; placeOf(path: readonly PropertyKey[]): PropertyKey[] } {
  const gone = new Set<string>()
  const part: Record<string, unknown> = {}
  const placeOf = (path: readonly PropertyKey[]) => placeAmong(input, path, gone)
  const given = input !== null && typeof input === 'object' ? (input as Record<string, unknown>) : {}
  for (const [key, field] of Object.entries<z.ZodType>(schema.shape)) {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const left = leaveOut(given[key], [key], gone)
      const result = field.safeParse(left)
      if (result.success) {
        if (result.data !== undefined) part[key] = result.data
        break
      }
      const places = misfitsOf(result.error, left).map((misfit) => placeOf([key, ...misfit.path]))
      if (places.some((place) => place.length === 1)) break
      // What is missing takes along what it is missing in.
      for (const place of places) gone.add(keyOf(valueAt(input, place) === undefined ? place.slice(0, -1) : place))
    }
  }
  return { part: part as Partial<z.infer<S>>, placeOf }
}

const MAX_TRIES = 100

const keyOf = (path: readonly PropertyKey[]) => JSON.stringify(path.map(String))

function leaveOut(value: unknown, path: readonly PropertyKey[], gone: ReadonlySet<string>): unknown {
  if (gone.has(keyOf(path))) return undefined
  if (Array.isArray(value))
    return value.flatMap((item, i) => (gone.has(keyOf([...path, i])) ? [] : [leaveOut(item, [...path, i], gone)]))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      gone.has(keyOf([...path, key])) ? [] : [[key, leaveOut(item, [...path, key], gone)]],
    ),
  )
}

/** Items that are gone are counted again. */
function placeAmong(input: unknown, path: readonly PropertyKey[], gone: ReadonlySet<string>): PropertyKey[] {
  const place: PropertyKey[] = []
  for (const key of path) {
    const around = valueAt(input, place)
    if (!Array.isArray(around)) place.push(key)
    else {
      const left = [...around.keys()].filter((i) => !gone.has(keyOf([...place, i])))
      place.push(left[Number(key)] ?? key)
    }
  }
  return place
}

/** Fields that a branch does not know. */
function strangersIn(issues: readonly z.core.$ZodIssue[]): number {
  return issues.filter((i) => i.code === 'unrecognized_keys' && i.path.length === 0).length
}

/** Fields that a branch needs and the author has not written. */
function missingIn(issues: readonly z.core.$ZodIssue[]): number {
  return issues.filter((i) => i.path.length === 1 && i.message.endsWith('received undefined')).length
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((i) => i.path.length))
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input
  for (const key of path) {
    if (value === null || typeof value !== 'object') return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

const SHOWN_CHARS = 60

function shortened(text: string): string {
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS - 3)}…` : text
}

/** The beginning of a value as JSON, of about `room` characters, however large or deep it is. */
function preview(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, room))
  if (typeof value !== 'object' || value === null || value instanceof Date)
    return JSON.stringify(value) ?? String(value)
  const isList = Array.isArray(value)
  let inside = ''
  for (const key in value) {
    if (inside.length >= room) break
    const left = room - inside.length - 1
    const name = isList ? '' : `${JSON.stringify(key.slice(0, room))}:`
    inside += `${inside === '' ? '' : ','}${name}${preview((value as Record<string, unknown>)[key], left)}`
  }
  return isList ? `[${inside}]` : `{${inside}}`
}

/**
 * JSON as it was sent: a number that a double cannot hold, a whole one beyond 2⁵³ − 1 or one beyond 1.8e308, is read as its
 * text, digit by digit. An order number of 20 digits stays what it is.
 *
 * @throws {SyntaxError} where it is no JSON
 */
export function parseJson(text: string): unknown {
  return JSON.parse(MAY_BE_INEXACT.test(text) ? withNumbersAsText(text) : text)
}

const MAY_BE_INEXACT = /\d{16}|\d[eE]\+?\d/
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const [QUOTE, BACKSLASH, MINUS, ZERO, NINE] = [34, 92, 45, 48, 57]

function withNumbersAsText(json: string): string {
  let [out, from, at] = ['', 0, 0]
  while (at < json.length) {
    const code = json.charCodeAt(at)
    if (code === QUOTE) {
      for (at++; at < json.length && json.charCodeAt(at) !== QUOTE; at++) if (json.charCodeAt(at) === BACKSLASH) at++
      at++
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      NUMBER.lastIndex = at
      const isNumber = NUMBER.test(json)
      const end = isNumber ? NUMBER.lastIndex : at + 1
      if (isNumber && !isExact(Number(json.slice(at, end)))) {
        out += `${json.slice(from, at)}"${json.slice(at, end)}"`
        from = end
      }
      at = end
    } else at++
  }
  return out + json.slice(from)
}

/** Whether lists and objects lie inside each other on more than so many levels. It looks no further. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1))
}

function isExact(number: number): boolean {
  return Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))
}

/**
 * The same as all stores can hold it. Halves of surrogate pairs (an emoji that somebody cut in two) become U+FFFD, in keys too;
 * a whole number beyond 2⁵³ − 1, and one that is not finite, becomes its text; −0 becomes 0. Whoever gives what may be deep looks
 * first how deep it is.
 */
export function storable<T>(value: T): T {
  return isStorable(value) ? value : (mended(value) as T)
}

function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return isExact(value) && !Object.is(value, -0)
  if (Array.isArray(value)) return value.every(isStorable)
  if (!isPlain(value)) return true
  for (const key of Object.keys(value))
    if (!key.isWellFormed() || !isStorable((value as Record<string, unknown>)[key])) return false
  return true
}

function mended(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'number') return isExact(value) ? value + 0 : String(value)
  if (Array.isArray(value)) return value.map(mended)
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key.toWellFormed(), mended(part)]))
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Date)
}

/** What an object has of its own under a name that came from outside: `constructor` is not what every object inherits. */
export function own<V>(object: Readonly<Record<string, V>>, name: string): V | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** An object for names from outside to be put in: it inherits nothing. */
export function keyed<V>(entries: Iterable<readonly [string, V]> = []): Record<string, V> {
  const object = Object.create(null) as Record<string, V>
  for (const [name, value] of entries) object[name] = value
  return object
}
