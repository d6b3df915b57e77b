import { z } from 'zod'
import { said } from '../../said.js'
import { DurationMs } from '../../parse.js'
import { HOUR_MS } from '../../time.js'

export const Name = z.string().regex(/^[a-z][a-z0-9_]*$/, said('名称用小写字母、数字和下划线', 'a name is snake_case'))
const Scalar = z.union([z.string(), z.number(), z.boolean()])

/** Bounds on a number; several together all hold. */
export const Bounds = z
  .strictObject({ gte: z.number(), gt: z.number(), lte: z.number(), lt: z.number(), is: z.number() })
  .partial()
  .refine(
    (b) => Object.keys(b).length > 0,
    said('至少写 gte、gt、lte、lt、is 里的一个', 'give at least one of gte, gt, lte, lt, is'),
  )
export type Bounds = z.infer<typeof Bounds>

/** Tests on a text; several together all hold. */
export const comparators = {
  is: Scalar.describe(said('等于这个值', 'equal to this value')).optional(),
  in: z.array(Scalar).min(1).describe(said('等于其中一个', 'equal to one of these')).optional(),
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
type PropertyTest = z.infer<typeof PropertyTest>

/** Which events of a name count: those of a window, with these properties. */
export const windowFields = {
  where: z
    .record(z.string(), PropertyTest)
    .describe(said('对事件属性的要求', 'tests on properties of the event'))
    .optional(),
  within: DurationMs.describe(said('到现在为止的一段时间', 'rolling window that ends now')).optional(),
  between: z
    .tuple([DurationMs, DurationMs])
    .describe(said('一段时间：从多久以前，到多久以前', 'rolling window: from this long ago, to this long ago'))
    .optional(),
}
export type Windowed = {
  event: string
  where?: Record<string, PropertyTest> | undefined
  within?: number | undefined
  between?: [number, number] | undefined
}

/** A number per profile over the events of a window. */
export const Aggregate = z.strictObject({
  event: Name,
  ...windowFields,
  count: z.literal(true).optional(),
  sum: z
    .string()
    .describe(
      said('要相加的属性；amountMinor 是事件的金额', 'property to add up; amountMinor is the amount of the event'),
    )
    .optional(),
  daysSince: z
    .literal(true)
    .describe(said('距上一次这个事件的整天数', 'whole days since the last such event'))
    .optional(),
})
export type Aggregate = z.infer<typeof Aggregate>

/** Fields as in the file, in one line. */
export function sayFields(clause: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(clause).map(([key, value]) => {
    if (key === 'within') return `within ${sayMs(value as number)}`
    if (key === 'between') return `between ${(value as number[]).map(sayMs).join(' and ')} ago`
    return `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  return parts.join(', ')
}

function sayMs(ms: number): string {
  if (ms % (24 * HOUR_MS) === 0) return `${ms / (24 * HOUR_MS)}d`
  return ms % HOUR_MS === 0 ? `${ms / HOUR_MS}h` : `${ms / 1000}s`
}
