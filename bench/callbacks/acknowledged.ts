import { z } from 'zod'

/** What the sender saw of one burst. */
export const Acknowledged = z.strictObject({
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
  tookMs: z.number(),
  /** Numbers of the deliveries that were not acknowledged. */
  failed: z.array(z.int()),
  cpuMs: z.number(),
  rssMiB: z.number(),
})
export type Acknowledged = z.infer<typeof Acknowledged>
