import { z } from 'zod'
import { parseDurationMs } from '../../time.js'

/** `7d`, `24h`, `15m`, `90s`, `2w`; milliseconds once parsed. */
export const DurationMs = z
  .string()
  .describe('a duration: 90s, 15m, 24h, 7d, 2w')
  .transform((text, ctx) => {
    const ms = parseDurationMs(text)
    if (ms === undefined) {
      ctx.addIssue({ code: 'custom', message: 'not a duration; write 90s, 15m, 24h, 7d or 2w' })
      return z.NEVER
    }
    return ms
  })

const Name = z.string().regex(/^[a-z][a-z0-9_]*$/, 'a name is snake_case')
const Scalar = z.union([z.string(), z.number(), z.boolean()])

/** Bounds on a number; several together all hold. */
export const Bounds = z
  .strictObject({ gte: z.number(), gt: z.number(), lte: z.number(), lt: z.number(), is: z.number() })
  .partial()
  .refine((b) => Object.keys(b).length > 0, 'give at least one of gte, gt, lte, lt, is')
export type Bounds = z.infer<typeof Bounds>

const comparators = {
  is: Scalar.describe('equal to this value').optional(),
  in: z.array(Scalar).min(1).describe('equal to one of these').optional(),
  gte: z.number().optional(),
  gt: z.number().optional(),
  lte: z.number().optional(),
  lt: z.number().optional(),
}
export type Comparators = {
  is?: string | number | boolean
  in?: (string | number | boolean)[]
  gte?: number
  gt?: number
  lte?: number
  lt?: number
}

const PropertyTest = z.union([Scalar, z.strictObject(comparators)])
export type PropertyTest = z.infer<typeof PropertyTest>

const windowFields = {
  where: z.record(z.string(), PropertyTest).describe('tests on properties of the event').optional(),
  within: DurationMs.describe('rolling window that ends now').optional(),
  between: z
    .tuple([DurationMs, DurationMs])
    .describe('rolling window: from this long ago, to this long ago')
    .optional(),
}

/** A number per profile over the events of a window. */
export const Aggregate = z.strictObject({
  event: Name,
  ...windowFields,
  count: z.literal(true).optional(),
  sum: z.string().describe('property to add up; amountMinor is the amount of the event').optional(),
  daysSince: z.literal(true).describe('whole days since the last such event').optional(),
})
export type Aggregate = z.infer<typeof Aggregate>

const EventClause = z
  .strictObject({
    event: Name,
    ...windowFields,
    count: Bounds.optional(),
    sum: z
      .record(z.string(), Bounds)
      .describe('property → bounds, e.g. { amountMinor: { gte: 50000 } }')
      .refine((r) => Object.keys(r).length === 1, 'give exactly one property to add up')
      .optional(),
    daysSince: Bounds.describe('days since the last such event').optional(),
    first: z
      .strictObject({ property: z.string(), ...comparators })
      .describe('value at the first such event')
      .optional(),
    last: z
      .strictObject({ property: z.string(), ...comparators })
      .describe('value at the last such event')
      .optional(),
  })
  .refine((c) => c.within === undefined || c.between === undefined, 'give within or between, not both')
  .refine(
    (c) => [c.count, c.sum, c.daysSince, c.first, c.last].filter((x) => x !== undefined).length <= 1,
    'give one of count, sum, daysSince, first, last',
  )
  .refine((c) => c.between === undefined || c.between[0] > c.between[1], 'between starts longer ago than it ends')

const TraitClause = z.strictObject({
  trait: z.string(),
  exists: z.boolean().optional(),
  has: z
    .string()
    .min(1)
    .describe('one entry of a list with commas, e.g. the WeCom tag 等级/重要 of wecom_tags')
    .optional(),
  ...comparators,
})
const IdentifierClause = z.strictObject({ identifier: z.string().describe('has an identifier of this type') })
const TagClause = z.strictObject({ tag: Name, ...comparators })
const StageClause = z.strictObject({ stage: z.union([Name, z.array(Name).min(1)]) })
const ScoreClause = z.strictObject({
  score: Name,
  gte: z.number().optional(),
  gt: z.number().optional(),
  lte: z.number().optional(),
  lt: z.number().optional(),
})
const SegmentClause = z.strictObject({ segment: Name })

/** A statement that is true or false of one profile at one instant. Missing data makes a comparison false, never an error. */
export type Rule =
  | { all: Rule[] }
  | { any: Rule[] }
  | { not: Rule }
  | z.infer<typeof EventClause>
  | z.infer<typeof TraitClause>
  | z.infer<typeof IdentifierClause>
  | z.infer<typeof TagClause>
  | z.infer<typeof StageClause>
  | z.infer<typeof ScoreClause>
  | z.infer<typeof SegmentClause>
export type EventClause = z.infer<typeof EventClause>

export const Rule: z.ZodType<Rule> = z.lazy(() =>
  z.union([
    z.strictObject({ all: z.array(Rule).min(1) }),
    z.strictObject({ any: z.array(Rule).min(1) }),
    z.strictObject({ not: Rule }),
    EventClause,
    TraitClause,
    IdentifierClause,
    TagClause,
    StageClause,
    ScoreClause,
    SegmentClause,
  ]),
)

/** What a rule depends on: a change to one of these may change its value. */
export type Reads = {
  events: Set<string>
  traits: Set<string>
  identifiers: Set<string>
  tags: Set<string>
  segments: Set<string>
}

/** The id under which the lifecycle stage is kept among the tags. */
export const STAGE_TAG = 'lifecycle_stage'

export function emptyReads(): Reads {
  return { events: new Set(), traits: new Set(), identifiers: new Set(), tags: new Set(), segments: new Set() }
}

/** Adds to `reads` everything `rule` looks at. Segments are named, not followed. */
export function collectReads(rule: Rule, reads: Reads = emptyReads()): Reads {
  if ('all' in rule) rule.all.forEach((r) => collectReads(r, reads))
  else if ('any' in rule) rule.any.forEach((r) => collectReads(r, reads))
  else if ('not' in rule) collectReads(rule.not, reads)
  else if ('event' in rule) reads.events.add(rule.event)
  else if ('trait' in rule) reads.traits.add(rule.trait)
  else if ('identifier' in rule) reads.identifiers.add(rule.identifier)
  else if ('tag' in rule) reads.tags.add(rule.tag)
  else if ('score' in rule) reads.tags.add(rule.score)
  else if ('stage' in rule) reads.tags.add(STAGE_TAG)
  else reads.segments.add(rule.segment)
  return reads
}
