import type { Explanation } from '../domain/rules/compile.js'
import { type ClauseKind, clauses } from '../domain/rules/rule.js'
import { textOf } from '../domain/local-text.js'
import { tagKinds } from '../domain/tags/definition.js'
import type { PastReason, TagReason } from '../services/tags/explain-tag.js'
import { sayPast, sayReadings, sayUnknown } from './say-past.js'
import { displayWidth, padEnd } from '../print/display-width.js'
import { formatAt } from '../print/table.js'

/** The value, since when, and every clause with its figure, aligned. */
export function renderReason(reason: TagReason, brand: { timeZone: string; locale: 'zh' | 'en' }): string {
  const { timeZone } = brand
  const { past, type } = reason
  const since = reason.since === undefined ? '' : `，自 since ${formatAt(reason.since, timeZone)}`
  const isRecorded = past?.tags[reason.id] === 'recorded' && type !== 'journey' && type !== 'segment'
  const title = `${textOf(reason.name, brand.locale)} ${reason.id}`
  const where = `档案 profile ${reason.profileId}，${sayPast(reason.at, past, timeZone)}`
  if (past?.why !== undefined)
    return [
      `${title} = ${past.verdict === 'unknown' ? '不知道 unknown' : valueText('', type)}`,
      where,
      sayUnknown(past.why, past.from, timeZone),
      '',
    ].join('\n')
  const head = [
    `${title} = ${valueText(isRecorded ? reason.stored : reason.value, type)}${since}`,
    where,
    ...differenceLines(reason, isRecorded),
    ...(past === undefined ? [] : lookLines(past)),
  ]
  const lines = reason.cases.flatMap(({ value, taken, tree }) => [
    ...(value === undefined ? [] : [{ text: `${taken === true ? '→' : ' '} ${value}` }]),
    ...treeLines(tree, value === undefined ? 0 : 1),
  ])
  const width = Math.max(...lines.map((l) => displayWidth(l.text)))
  const body = lines.map((l) => (l.figure === undefined ? l.text : `${padEnd(l.text, width)}   ${l.figure}`))
  return [...head, '', ...body, ''].join('\n')
}

/** Where the value that was stored is not the one that the rules give. */
function differenceLines({ past, type, value, stored }: TagReason, isRecorded: boolean): string[] {
  if (type === 'journey' || type === 'segment' || value === stored) return []
  if (past === undefined)
    return [
      `已存的值 stored: ${valueText(stored, type)}，下次刷新会更新 the next refresh will change it (siyu tags refresh)`,
    ]
  return isRecorded ? [`按今天的规则重算 by today's rule it would be: ${valueText(value, type)}`] : []
}

/** How she looked at that instant. */
function lookLines({ asItHappened, tags, person }: PastReason): string[] {
  const readings = sayReadings(tags, asItHappened)
  const say = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .filter(([, value]) => value !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join('，')
  const parts: [string, string][] = [
    ['特征 traits', say(person?.traits ?? {})],
    ['标识 identifiers', (person?.identifierTypes ?? []).join('，')],
    ['读到的标签 tags that were read', say(person?.tags ?? {})],
  ]
  return [
    ...parts.map(([title, text]) => `${title}: ${text === '' ? '–' : text}`),
    ...(readings === undefined ? [] : [readings]),
  ]
}

type Line = { text: string; figure?: string }

function treeLines(tree: Explanation, depth: number): Line[] {
  const text = `${'  '.repeat(depth)}${tree.holds ? '✓' : '✗'} ${clauseText(tree.clause)}`
  if (tree.parts === undefined)
    return [{ text, figure: tree.figure === undefined || tree.figure === '' ? '–' : tree.figure }]
  return [{ text }, ...tree.parts.flatMap((p) => treeLines(p, depth + 1))]
}

const SIGNS: Readonly<Record<string, string>> = { gte: '≥', gt: '>', lte: '≤', lt: '<', is: '=' }

/** Groups by their name, of others `count {"gte":3}` as `count ≥ 3`. */
function clauseText(clause: string): string {
  if (Object.hasOwn(clauses, clause)) {
    const { zh, en } = clauses[clause as ClauseKind].words
    return `${zh} ${en}`
  }
  return clause
    .replace(/[{}"]/g, '')
    .replace(/\b(gte|gt|lte|lt|is)[: ]\s*(?=\S)/g, (_, sign: string) => `${SIGNS[sign]} `)
    .replace(/:(?=≥|>|≤|<|=)/g, ' ')
}

function valueText(value: string, type: TagReason['type']): string {
  if (type === 'journey')
    return value === '' ? '不满足进入条件 entry rule does not hold' : '满足进入条件 entry rule holds'
  if (type === 'segment') return value === '' ? '不在人群里 not in it' : '在人群里 in it'
  if (value === '') return '无 none'
  return tagKinds[type].say(value)
}
