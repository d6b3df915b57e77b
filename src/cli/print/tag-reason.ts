import type { Explanation } from '../../domain/rules/compile.js'
import { type ClauseKind, clauses } from '../../domain/rules/rule.js'
import { textOf } from '../../domain/local-text.js'
import { tagKinds } from '../../domain/tags/definition.js'
import type { TagReason } from '../../services/tags/explain-tag.js'
import { displayWidth, padEnd } from './display-width.js'
import { formatAt } from './table.js'

/** The value, since when, and every clause with its figure, aligned. */
export function renderReason(reason: TagReason, brand: { timeZone: string; locale: 'zh' | 'en' }): string {
  const { timeZone } = brand
  const since = reason.since === undefined ? '' : `，自 since ${formatAt(reason.since, timeZone)}`
  const head = [
    `${textOf(reason.name, brand.locale)} ${reason.id} = ${valueText(reason.value, reason.type)}${since}`,
    `档案 profile ${reason.profileId}，按此刻的数据 as of ${formatAt(reason.at, timeZone)} ${timeZone}`,
    ...(reason.type !== 'journey' && reason.value !== reason.stored
      ? [
          `已存的值 stored: ${valueText(reason.stored, reason.type)}，下次刷新会更新 the next refresh will change it (siyu tags refresh)`,
        ]
      : []),
  ]
  const lines = reason.cases.flatMap(({ value, taken, tree }) => [
    ...(value === undefined ? [] : [{ text: `${taken === true ? '→' : ' '} ${value}` }]),
    ...treeLines(tree, value === undefined ? 0 : 1),
  ])
  const width = Math.max(...lines.map((l) => displayWidth(l.text)))
  const body = lines.map((l) => (l.figure === undefined ? l.text : `${padEnd(l.text, width)}   ${l.figure}`))
  return [...head, '', ...body, ''].join('\n')
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
  if (value === '') return '无 none'
  return tagKinds[type].say(value)
}
