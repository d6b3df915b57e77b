import { meant, nearest, said } from '../../said.js'
import type { Mistake, Path } from '../reference.js'
import type { Comparators, Windowed } from './fields.js'

/** The values a tag may have: one of these words, a number, or any text. */
export type TagValues = readonly string[] | 'number' | 'text'

/** What a rule can be held against beside the names that files define. */
export type Known = {
  /** Of the events whose properties are listed. */
  properties: ReadonlyMap<string, ReadonlySet<string>>
  /** Absent where they are not listed. */
  traits?: ReadonlySet<string> | undefined
  /** Absent where they could not be read. */
  identifiers?: ReadonlySet<string> | undefined
  /** Absent where no file lists them. */
  events?: ReadonlySet<string> | undefined
  tags: ReadonlyMap<string, TagValues>
}

/** Of every event; it is a column of its own. */
const AMOUNT = 'amountMinor'

/** Properties that the event does not have: in its tests, and those that are read. */
export function propertyMistakes(
  { event, where = {} }: Windowed,
  read: readonly { property: string; path: Path }[],
  known: Known,
): Mistake[] {
  const properties = known.properties.get(event)
  if (properties === undefined) return []
  const named = [...Object.keys(where).map((property) => ({ property, path: ['where', property] })), ...read]
  return named.flatMap(({ property, path }) =>
    property === AMOUNT || properties.has(property)
      ? []
      : [
          unlisted(
            { word: property, path, known: [...properties, AMOUNT] },
            said(`事件 ${event} 没有列出属性 "${property}"`, `event ${event} lists no property "${property}"`),
            ['写进 config/events.yaml 里它的 properties', 'list it under its properties in config/events.yaml'],
          ),
        ],
  )
}

export function traitMistakes(trait: string, path: Path, { traits }: Known): Mistake[] {
  if (traits === undefined || traits.has(trait)) return []
  return [
    unlisted({ word: trait, path, known: traits }, said(`没有列出特征 "${trait}"`, `no trait "${trait}" is listed`), [
      '写进 config/events.yaml 的 traits',
      'list it under traits in config/events.yaml',
    ]),
  ]
}

/** Lists lag behind what sources give: a name that is like none of theirs may be new; one that is like one is misspelt. */
function unlisted(
  { word, path, known }: { word: string; path: Path; known: Iterable<string> },
  message: string,
  [zh, en]: [zh: string, en: string],
): Mistake {
  const isSure = nearest(word, known) !== undefined
  return { path, message, hint: meant(word, known, zh, en), ...(!isSure && { unsure: true as const }) }
}

/** Values that the tag never has. */
export function valueMistakes(tag: string, { is, in: anyOf = [] }: Comparators, { tags }: Known): Mistake[] {
  const values = tags.get(tag)
  if (values === undefined || values === 'text') return []
  const named = [
    ...(is === undefined ? [] : [{ value: is, path: ['is'] as Path }]),
    ...anyOf.map((value, i) => ({ value, path: ['in', i] as Path })),
  ]
  return named.flatMap(({ value, path }) => {
    const text = String(value)
    if (values === 'number' ? Number.isFinite(Number(text)) && text.trim() !== '' : values.includes(text)) return []
    const message = said(`标签 ${tag} 没有 "${text}" 这个值`, `tag ${tag} never has the value "${text}"`)
    if (values === 'number') return [{ path, message, hint: said('它是数字', 'it is a number') }]
    const isFlag = values.length === 1 && values[0] === FLAG_SET
    const hint = isFlag
      ? said(
          `它只有“有”和“没有”：写 { tag: ${tag} }，或放进 not`,
          `one has it or not: write { tag: ${tag} }, or put that into not`,
        )
      : meant(text, values, `它的值有：${values.join('、')}`, `its values are: ${values.join(', ')}`)
    return [{ path, message, hint }]
  })
}

/** The value of a flag that is set. */
export const FLAG_SET = '1'
