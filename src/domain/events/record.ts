import { z } from 'zod'
import { said } from '../../said.js'
import { RECORD_BOUNDS } from '../../bounds.js'

/** NUL ends or parts what is put together of several texts. */
const withoutNul = (text: string) => !text.includes('\0')
const NUL = said('不能含有 NUL 字符', 'must not hold the character NUL')

/** `unionid`, `external_userid`, `openid:<appid>`, `phone`, `member_id`, `email`, `tmall` … */
export const Identifier = z.strictObject({
  type: z
    .string()
    .regex(
      /^[a-z][a-z0-9_]*(:[A-Za-z0-9_-]+)?$/,
      said('身份类型用小写，如 unionid 或 openid:wx123', 'identifier type is lower case, e.g. unionid or openid:wx123'),
    )
    .max(RECORD_BOUNDS.nameChars),
  value: z.string().min(1).max(RECORD_BOUNDS.valueChars).refine(withoutNul, NUL),
})
export type Identifier = z.infer<typeof Identifier>

export const TraitValue = z.union([z.string(), z.number(), z.boolean()])
export type TraitValue = z.infer<typeof TraitValue>

/** Something a profile did or received. `amountMinor` is an integer in the minor unit of the brand's currency. */
export const RecordEvent = z.strictObject({
  /** Unique in its source, e.g. `536365`; an id that the source has sent before counts once however often it is sent. */
  id: z.string().min(1).max(RECORD_BOUNDS.idChars).refine(withoutNul, NUL),
  name: z
    .string()
    .regex(
      /^[a-z][a-z0-9_]*$/,
      said('事件名用小写字母、数字和下划线，如 order_paid', 'event name is snake_case, e.g. order_paid'),
    )
    .max(RECORD_BOUNDS.nameChars),
  occurredAt: z.date(),
  amountMinor: z.int().optional(),
  properties: z.record(z.string(), z.unknown()).default({}),
})
export type RecordEvent = z.infer<typeof RecordEvent>

/** Names an event among those of all sources. */
export function eventKey(source: string, id: string): string {
  return `${source} ${id}`
}

/**
 * One statement of a source about one person: these identifiers belong together, with these traits, and this happened.
 * The unit of ingest; a batch is an array of them.
 */
export const SourceRecord = z.strictObject({
  /** Where it stands in the source, for reports: `members.csv:17`. */
  ref: z.string().min(1).max(RECORD_BOUNDS.refChars),
  source: z
    .string()
    .regex(/^[a-z][a-z0-9_-]*$/, said('来源是一个小写的短名称', 'source is a short lower-case name'))
    .max(RECORD_BOUNDS.nameChars),
  observedAt: z.date(),
  identifiers: z.array(Identifier).min(1).max(RECORD_BOUNDS.identifiers),
  traits: z.record(z.string(), TraitValue.nullable()).default({}),
  events: z.array(RecordEvent).max(RECORD_BOUNDS.events).default([]),
})
export type SourceRecord = z.infer<typeof SourceRecord>
export type SourceRecordInput = z.input<typeof SourceRecord>
