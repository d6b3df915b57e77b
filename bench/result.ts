import { z } from 'zod'

/** What a run writes with `--json`; described in README.md. Raised by one with every change of shape. */
export const RESULT_VERSION = 1

const Positive = z.number().nonnegative()

export const Spread = z.strictObject({ min: Positive, median: Positive, max: Positive })
export type Spread = z.infer<typeof Spread>

export const Round = z.strictObject({
  wallMs: Positive,
  /** User and system, all threads of the process. */
  cpuMs: Positive,
  /** Most memory the process held during this side of this round; Linux only. */
  peakRssMiB: z.number().int().positive().optional(),
  figures: z.record(z.string(), z.number()).optional(),
})
export type Round = z.infer<typeof Round>

export const Side = z.strictObject({
  rounds: z.array(Round).min(1),
  /** Items per second of wall time. */
  perSecond: Spread,
  cpuMsPerItem: Spread,
})
export type Side = z.infer<typeof Side>

export const CaseResult = z.strictObject({
  name: z.string(),
  /** Items a round. */
  items: z.number().int().positive(),
  product: Side,
  baseline: Side.optional(),
  /** Product divided by baseline, pair by pair. */
  ratio: z.strictObject({ wall: Spread, cpu: Spread }).optional(),
})
export type CaseResult = z.infer<typeof CaseResult>

/** Averages of runnable tasks over 1, 5 and 15 minutes. */
const Load = z.tuple([Positive, Positive, Positive])

export const BenchResult = z.strictObject({
  name: z.string(),
  unit: z.string(),
  baseline: z.string(),
  load: z.strictObject({ before: Load, after: Load }),
  cases: z.array(CaseResult).min(1),
})
export type BenchResult = z.infer<typeof BenchResult>

export const RunResult = z.strictObject({
  version: z.literal(RESULT_VERSION),
  command: z.string(),
  scale: z.enum(['full', 'quick', 'tiny']),
  /** Wall clock, ISO 8601, UTC. */
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  versions: z.record(z.string(), z.string()),
  machine: z.strictObject({
    cpu: z.string(),
    cores: z.number().int().positive(),
    memoryMiB: z.number().int().positive(),
    system: z.string(),
    /** Of the folder for temporary files: where the stores lay. */
    fileSystem: z.string(),
  }),
  load: z.strictObject({ before: Load, after: Load }),
  benchmarks: z.array(BenchResult).min(1),
})
export type RunResult = z.infer<typeof RunResult>
