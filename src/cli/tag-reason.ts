import type { Explanation } from '../domain/rules/compile.js'
import { type ClauseKind, clauses } from '../domain/rules/rule.js'
import { textOf } from '../domain/local-text.js'
import { tagKinds } from '../domain/tags/definition.js'
import type { PastReason, TagReason } from '../services/tags/explain-tag.js'
import { sayPast, sayReadings, sayUnknown } from './say-past.js'
import { asCommand, bilingual, type Words } from '../said.js'
import { displayWidth, padEnd, wrap } from '../print/display-width.js'
import { formatAt } from '../print/table.js'

type Brand = { timeZone: string; locale: 'zh' | 'en' }

/** The value, since when, and every clause with its figure, aligned. @param width - in cells; absent: nobody looks at a terminal */
export function renderReason(reason: TagReason, brand: Brand, width?: number): string {
  const { timeZone, locale } = brand
  const words = bilingual(locale)
  const { past, type } = reason
  const value = (text: string) => valueText(text, type, locale)
  const at = formatAt(reason.since, timeZone)
  const since = at === '' ? '' : words(`，自 ${at}`, `, since ${at}`)
  const isRecorded = past?.tags[reason.id] === 'recorded' && type !== 'journey' && type !== 'segment'
  const title = `${textOf(reason.name, locale)} ${reason.id}`
  const where = `${words('档案', 'profile')} ${reason.profileId}${words('，', ', ')}${sayPast(reason.at, past, brand)}`
  if (past?.why !== undefined)
    return [
      `${title} = ${past.verdict === 'unknown' ? words('不知道', 'unknown') : value('')}`,
      where,
      sayUnknown(past.why, past.from, brand),
      '',
    ].join('\n')
  const head = [
    `${title} = ${value(isRecorded ? reason.stored : reason.value)}${since}`,
    where,
    ...differenceLines(reason, isRecorded, value, words),
    ...(past === undefined ? [] : lookLines(past, brand)),
  ]
  const lines = reason.cases.flatMap(({ value: outcome, taken, tree }) => [
    ...(outcome === undefined ? [] : [{ text: `${taken === true ? '→' : ' '} ${outcome}` }]),
    ...treeLines(tree, outcome === undefined ? 0 : 1, locale),
  ])
  const figures = Math.max(0, ...lines.map((l) => displayWidth(l.figure ?? '')))
  const room = width === undefined ? Infinity : Math.max(20, width - GAP.length - Math.min(figures, 24))
  const cells = Math.min(room, Math.max(...lines.map((l) => displayWidth(l.text))))
  const body = lines.flatMap(({ text, figure }) => {
    const indent = '  '.repeat(/^ */.exec(text)![0].length / 2 + 2)
    const [first = '', ...rest] = wrap(text.trimStart(), cells - (text.length - text.trimStart().length))
    const start = text.slice(0, text.length - text.trimStart().length)
    const shown = `${start}${first}`
    return [
      figure === undefined ? shown : `${padEnd(shown, cells)}${GAP}${figure}`,
      ...rest.map((line) => `${indent}${line}`),
    ]
  })
  return [...head.flatMap((line) => (width === undefined ? [line] : wrap(line, width))), '', ...body, ''].join('\n')
}

const GAP = '   '

/** Where the value that was stored is not the one that the rules give. */
function differenceLines(
  { past, type, value, stored }: TagReason,
  isRecorded: boolean,
  say: (value: string) => string,
  words: Words,
): string[] {
  if (type === 'journey' || type === 'segment' || value === stored) return []
  if (past === undefined)
    return [
      `${words(`已存的值：${say(stored)}，下次刷新会更新`, `stored: ${say(stored)}, the next refresh will change it`)} (${asCommand('siyu tags refresh')})`,
    ]
  return isRecorded ? [words(`按今天的规则重算：${say(value)}`, `by today's rule it would be: ${say(value)}`)] : []
}

/** How she looked at that instant. */
function lookLines({ asItHappened, tags, person }: PastReason, { locale }: Brand): string[] {
  const words = bilingual(locale)
  const readings = sayReadings(tags, asItHappened, locale)
  const say = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .filter(([, value]) => value !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join(words('，', ', '))
  const parts: [string, string][] = [
    [words('特征', 'traits'), say(person?.traits ?? {})],
    [words('标识', 'identifiers'), (person?.identifierTypes ?? []).join(words('，', ', '))],
    [words('读到的标签', 'tags that were read'), say(person?.tags ?? {})],
  ]
  return [
    ...parts.map(([title, text]) => `${title}: ${text === '' ? '–' : text}`),
    ...(readings === undefined ? [] : [readings]),
  ]
}

type Line = { text: string; figure?: string }

function treeLines(tree: Explanation, depth: number, locale: 'zh' | 'en'): Line[] {
  const text = `${'  '.repeat(depth)}${tree.holds ? '✓' : '✗'} ${clauseText(tree.clause, locale)}`
  if (tree.parts === undefined)
    return [{ text, figure: tree.figure === undefined || tree.figure === '' ? '–' : tree.figure }]
  return [{ text }, ...tree.parts.flatMap((p) => treeLines(p, depth + 1, locale))]
}

const SIGNS: Readonly<Record<string, string>> = { gte: '≥', gt: '>', lte: '≤', lt: '<', is: '=' }

/** Groups by their name, of others `count {"gte":3}` as `count ≥ 3`. */
function clauseText(clause: string, locale: 'zh' | 'en'): string {
  if (Object.hasOwn(clauses, clause)) return clauses[clause as ClauseKind].words[locale]
  return clause
    .replace(/[{}"]/g, '')
    .replace(/\b(gte|gt|lte|lt|is)[: ]\s*(?=\S)/g, (_, sign: string) => `${SIGNS[sign]} `)
    .replace(/:(?=≥|>|≤|<|=)/g, ' ')
}

function valueText(value: string, type: TagReason['type'], locale: 'zh' | 'en'): string {
  const words = bilingual(locale)
  if (type === 'journey')
    return value === ''
      ? words('不满足进入条件', 'entry rule does not hold')
      : words('满足进入条件', 'entry rule holds')
  if (type === 'segment') return value === '' ? words('不在人群里', 'not in it') : words('在人群里', 'in it')
  return value === '' ? words('无', 'none') : tagKinds[type].say(value, words)
}
