import { z } from 'zod'
import { STAGE_TAG } from '../rules/clauses/stage.js'
import { Aggregate } from '../rules/fields.js'
import { collectReads, emptyReads, type Reads, Rule } from '../rules/rule.js'
import { isCron } from '../schedule.js'

export const LocalText = z
  .union([z.string().min(1), z.strictObject({ zh: z.string().min(1), en: z.string().min(1) })])
  .describe('one text, or { zh, en }')
export type LocalText = z.infer<typeof LocalText>

export function textOf(text: LocalText, locale: 'zh' | 'en'): string {
  return typeof text === 'string' ? text : text[locale]
}

/** It names a column of figures and a key of stored documents, where a dot or a dollar sign would mean something else. */
export const TagId = z.string().regex(/^[a-z][a-z0-9_]{1,63}$/, 'a tag id is snake_case, 2 to 64 characters')

const common = {
  id: TagId,
  name: LocalText,
  category: z.enum([
    'attribute',
    'behaviour',
    'transaction',
    'preference',
    'intent',
    'value',
    'lifecycle',
    'social',
    'content',
    'psychology',
    'model',
  ]),
  refresh: z
    .union([
      z.literal('realtime'),
      z.string().refine(isCron, 'neither "realtime" nor a cron expression such as "0 2 * * *"'),
    ])
    .default('realtime')
    .describe('realtime: with every change and every night; or a cron expression in the business time zone'),
  owner: z.string().min(1).describe('team that answers for it'),
  purpose: z.string().min(1).describe('what it is used for'),
}

/** Points for evidence; no evidence at all leaves the score unknown. */
const Score = z.strictObject({
  points: z.array(Aggregate.extend({ weight: z.number().describe('points per event') })).min(1),
  max: z.number().int().positive().default(100),
  unless: Rule.optional().describe('when this holds the score is 0, evidence or not'),
})

/** Where a tag is pushed in WeCom; names there have at most 30 characters. */
const WritebackTag = z
  .string()
  .regex(/^[^/]{1,30}\/[^/]{1,30}$/, 'write it as <group>/<name>, each at most 30 characters')
  .describe('corp tag in WeCom that is put on customers who have this tag: <group>/<name>')
const WritebackGroup = z
  .string()
  .regex(/^[^/]{1,30}$/, "write it as <group>, at most 30 characters; the cases' names are the tags")
  .describe("group of corp tags in WeCom; the customer gets the one with the case's name")

/** One tag: a named, typed statement about a profile. */
export const Tag = z.discriminatedUnion('type', [
  z.strictObject({ ...common, type: z.literal('flag'), when: Rule, writeback: WritebackTag.optional() }),
  z.strictObject({
    ...common,
    type: z.literal('choice'),
    cases: z
      .array(z.strictObject({ value: z.string().min(1), name: LocalText.optional(), when: Rule }))
      .min(1)
      .describe('the first case that holds wins'),
    writeback: WritebackGroup.optional(),
  }),
  z.strictObject({ ...common, type: z.literal('number'), value: Aggregate.optional(), score: Score.optional() }),
  z.strictObject({ ...common, type: z.literal('text'), trait: z.string().describe('the trait whose value it shows') }),
])
export type Tag = z.infer<typeof Tag>

export const TagFile = z.strictObject({ tags: z.array(Tag).min(1) }).describe('a file of tag definitions')

/** Exactly one stage per profile: the first whose rule holds; the last one has no rule. */
export const Lifecycle = z
  .strictObject({
    stages: z
      .array(z.strictObject({ id: z.string().regex(/^[a-z][a-z0-9_]*$/), name: LocalText, when: Rule.optional() }))
      .min(2)
      .describe('in order; the first whose rule holds is the stage; only the last has no rule'),
    writeback: WritebackGroup.optional(),
  })
  .refine((l) => l.stages.every((s, i) => (s.when === undefined) === (i === l.stages.length - 1)), {
    message: 'every stage but the last needs `when`, the last must have none',
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

export function tagReads(tag: Tag): Reads {
  const reads = emptyReads()
  if (tag.type === 'flag') collectReads(tag.when, reads)
  else if (tag.type === 'choice') tag.cases.forEach((c) => collectReads(c.when, reads))
  else if (tag.type === 'text') reads.traits.add(tag.trait)
  else {
    if (tag.value !== undefined) reads.events.add(tag.value.event)
    tag.score?.points.forEach((p) => reads.events.add(p.event))
    if (tag.score?.unless !== undefined) collectReads(tag.score.unless, reads)
  }
  return reads
}
