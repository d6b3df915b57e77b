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

/** Parses outside input; every problem is reported at once. @throws {InvalidInputError} */
export function parseInput<S extends z.ZodType>(
  schema: S,
  input: unknown,
  what = said('输入有误', 'Invalid input'),
): z.infer<S> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new InvalidInputError(what, toProblems(result.error, input))
}

/** Zod issues as problems, with the offending value (shortened) in the message. */
export function toProblems(error: z.ZodError, input?: unknown): Problem[] {
  return misfitsOf(error, input).map(({ path, ...said }) => ({ path: path.map(String).join('.'), ...said }))
}

type Misfit = Omit<Problem, 'path'> & { path: PropertyKey[] }

function misfitsOf(error: z.ZodError, input: unknown): Misfit[] {
  return error.issues.flatMap((issue) => issueToMisfits(issue, input))
}

function issueToMisfits(issue: z.core.$ZodIssue, input: unknown): Misfit[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: said(`没有 "${key}" 这个字段`, `unknown field "${key}"`),
      hint: said('删掉它，或改正拼写', 'remove it or correct its spelling'),
    }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that got furthest is the one the author meant.
    const meant = [...issue.errors].sort((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0] ?? []
    const deeper = meant.filter((i) => i.path.length > 0 || i.code === 'unrecognized_keys')
    if (deeper.length > 0) {
      return deeper.flatMap((i) => issueToMisfits({ ...i, path: [...issue.path, ...i.path] }, input))
    }
  }
  const value = valueAt(input, issue.path)
  const { zh, en } = sentencesOf(messageOfIssue(issue, value))
  const shown = value === undefined ? undefined : shorten(value)
  const message = shown === undefined ? said(zh, en) : said(`${zh}（写的是 ${shown}）`, `${en} (got ${shown})`)
  const hint: unknown = issue.code === 'custom' ? issue.params?.['hint'] : undefined
  return [{ path: [...issue.path], message, ...(typeof hint === 'string' && { hint }) }]
}

const zodZh = z.locales.zhCN().localeError
const zodEn = z.locales.en().localeError

/** What zod says by itself it says in both languages, too. */
function messageOfIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const raw = { ...issue, input } as z.core.$ZodRawIssue
  const textIn = (language: typeof zodZh) => {
    const text = language(raw)
    return typeof text === 'string' ? text : text?.message
  }
  const zh = textIn(zodZh)
  return zh !== undefined && textIn(zodEn) === issue.message ? said(zh, issue.message) : issue.message
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

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/**
 * The same with every half of a surrogate pair replaced by U+FFFD, in keys too. Such a text (an emoji that somebody cut in two)
 * is legal in JSON and in JavaScript, and no store can hold it.
 */
export function wellFormed<T>(value: T): T {
  return isWellFormed(value) ? value : (mended(value) as T)
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (Array.isArray(value)) return value.every(isWellFormed)
  if (!isPlain(value)) return true
  return Object.entries(value).every(([key, part]) => key.isWellFormed() && isWellFormed(part))
}

function mended(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(mended)
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key.toWellFormed(), mended(part)]))
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Date)
}
