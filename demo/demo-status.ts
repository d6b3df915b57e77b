import { z } from 'zod'

const Count = z.int().min(0)

/** What the demo's page shows while it works; instants are virtual time, ISO 8601. */
export const DemoStatus = z.strictObject({
  phase: z.enum(['history', 'live', 'done']),
  virtualNow: z.string(),
  /** First and last instant of the live phase. */
  from: z.string(),
  to: z.string(),
  /** Share of the present phase that is done, 0–1. */
  progress: z.number().min(0).max(1),
  profiles: Count,
  merges: Count,
  events: Count,
  /** Touches by state. */
  touches: z.record(z.string(), Count),
  tasks: z.strictObject({ open: Count, done: Count }),
  journeys: z.record(z.string(), z.strictObject({ entered: Count, waiting: Count, heldOut: Count })),
  /** The latest facts, newest first, at most 20, in the page's language. */
  recent: z.array(z.strictObject({ at: z.string(), kind: z.string(), text: z.string() })),
  /** Messages that went out on each virtual day since `from`. */
  messagesPerDay: z.array(Count),
})
export type DemoStatus = z.infer<typeof DemoStatus>
