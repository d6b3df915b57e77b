import { z } from 'zod'

/**
 * What a run stays on beside its steps, by version: all segments, and all contents with the coupon pools they name. One
 * that is absent is always the one of today, as tags, stages, scores, policy and identity are for every run.
 */
export const Pins = z.object({ segments: z.number().optional(), contents: z.number().optional() })
export type Pins = z.infer<typeof Pins>
