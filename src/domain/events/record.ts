import { z } from 'zod'
import { said } from '../../said.js'

/** `unionid`, `external_userid`, `openid:<appid>`, `phone`, `member_id`, `email`, `tmall` … */
export const Identifier = z.strictObject({
  type: z
    .string()
    .regex(
      /^[a-z][a-z0-9_]*(:[A-Za-z0-9_-]+)?$/,
      said('身份类型用小写，如 unionid 或 openid:wx123', 'identifier type is lower case, e.g. unionid or openid:wx123'),
    ),
  value: z.string().min(1).max(256),
})
export type Identifier = z.infer<typeof Identifier>

export const TraitValue = z.union([z.string(), z.number(), z.boolean()])
export type TraitValue = z.infer<typeof TraitValue>

/** Something a profile did or received. `amountMinor` is an integer in the minor unit of the brand's currency. */
export const RecordEvent = z.strictObject({
  /** Unique over all sources, e.g. `shop:536365`; an id seen before counts once however often it is sent. */
  id: z.string().min(1).max(200),
  name: z
    .string()
    .regex(
      /^[a-z][a-z0-9_]*$/,
      said('事件名用小写字母、数字和下划线，如 order_paid', 'event name is snake_case, e.g. order_paid'),
    ),
  occurredAt: z.date(),
  amountMinor: z.int().optional(),
  properties: z.record(z.string(), z.unknown()).default({}),
})
export type RecordEvent = z.infer<typeof RecordEvent>

/**
 * One statement of a source about one person: these identifiers belong together, with these traits, and this happened.
 * The unit of ingest; a batch is an array of them.
 */
export const SourceRecord = z.strictObject({
  /** Where it stands in the source, for reports: `members.csv:17`. */
  ref: z.string().min(1).max(300),
  source: z.string().regex(/^[a-z][a-z0-9_-]*$/, said('来源是一个小写的短名称', 'source is a short lower-case name')),
  observedAt: z.date(),
  identifiers: z.array(Identifier).min(1).max(50),
  traits: z.record(z.string(), TraitValue.nullable()).default({}),
  events: z.array(RecordEvent).max(1000).default([]),
})
export type SourceRecord = z.infer<typeof SourceRecord>
export type SourceRecordInput = z.input<typeof SourceRecord>
