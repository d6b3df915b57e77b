import { z } from 'zod'
import { said } from '../../said.js'
import { LocalText } from '../local-text.js'
import type { Path, Reference } from '../reference.js'
import { STAGE_TAG } from '../rules/clauses/stage.js'
import { daysSince } from '../rules/days.js'
import { readsFrom, type Reads, Rule, ruleRefersTo } from '../rules/rule.js'
import { choice, WritebackGroup } from './kinds/choice.js'
import { flag } from './kinds/flag.js'
import type { TagKind } from './kinds/kind.js'
import { number } from './kinds/number.js'
import { text } from './kinds/text.js'

/** Every kind of tag, by its `type`. */
const kinds = { flag, choice, number, text }
type Schema = (typeof kinds)[keyof typeof kinds]['schema']

const typesIn = (language: 'zh' | 'en') =>
  Object.entries(kinds).map(([type, { words }]) => `${type} ${words[language]}`)

/** One tag: a named, typed statement about a profile. */
export const Tag = z.discriminatedUnion(
  'type',
  Object.values(kinds).map((kind) => kind.schema) as [Schema, ...Schema[]],
  {
    error: ({ code }) =>
      code === 'invalid_union'
        ? said(
            `没有这种标签；可以写：${typesIn('zh').join('；')}`,
            `there is no such type of tag; write one of: ${typesIn('en').join('; ')}`,
          )
        : undefined,
  },
)
export type Tag = z.infer<typeof Tag>
export type TagType = Tag['type']

export const tagKinds: { [K in TagType]: TagKind<Extract<Schema, z.ZodType<{ type: K }>>> } = kinds

export function tagKindOf(tag: Tag): TagKind<Schema, Tag> {
  // The kind was chosen by the tag's own type, so it is the one that reads it.
  return tagKinds[tag.type]
}

/** A kept value as rules and people read it. */
export function shownValue(tag: Tag | undefined, kept: string, now: Date): string {
  if (tag === undefined || tagKindOf(tag).countedFrom(tag) === undefined) return kept
  return daysSince(kept, now.getTime())
}

export const TagFile = z
  .strictObject({ tags: z.array(Tag) })
  .describe(said('一个标签文件', 'a file of tag definitions'))

/** Exactly one stage per profile: the first whose rule holds; the last one has no rule. */
export const Lifecycle = z
  .strictObject({
    stages: z
      .array(z.strictObject({ id: z.string().regex(/^[a-z][a-z0-9_]*$/), name: LocalText, when: Rule.optional() }))
      .min(2)
      .describe(
        said(
          '按顺序，第一个成立的就是当前阶段；只有最后一个不写条件',
          'in order; the first whose rule holds is the stage; only the last has no rule',
        ),
      ),
    writeback: WritebackGroup.optional(),
  })
  .refine((l) => l.stages.every((s, i) => (s.when === undefined) === (i === l.stages.length - 1)), {
    message: said(
      '除最后一个阶段外都要写 `when`，最后一个不能写',
      'every stage but the last needs `when`, the last must have none',
    ),
    path: ['stages'],
  })
export type Lifecycle = z.infer<typeof Lifecycle>

/** The lifecycle as a tag, so that rules, changes and reports treat it like one. */
export function lifecycleTag(lifecycle: Lifecycle): Tag {
  const always: Rule = { any: [{ event: 'registered' }, { not: { event: 'registered' } }] }
  return {
    id: STAGE_TAG,
    name: { zh: '生命周期阶段', en: 'Lifecycle stage' },
    category: 'lifecycle',
    refresh: 'realtime',
    owner: 'crm',
    purpose: 'exactly one stage per profile',
    type: 'choice',
    cases: lifecycle.stages.map((s) => ({ value: s.id, name: s.name, when: s.when ?? always })),
    ...(lifecycle.writeback !== undefined && { writeback: lifecycle.writeback }),
  }
}

/** What a tag names that is defined elsewhere, in the order of the file. */
export function tagRefersTo(tag: Tag, path: Path = []): Reference[] {
  const kind = tagKindOf(tag)
  return [
    ...kind.refersTo(tag).map((r) => ({ ...r, path: [...path, ...r.path] })),
    ...kind.rules(tag).flatMap((at) => ruleRefersTo(at.rule, [...path, ...at.path])),
  ]
}

export function tagReads(tag: Tag): Reads {
  return readsFrom(tagRefersTo(tag))
}
