import { z } from 'zod'

const Count = z.int().min(0)
const Counts = z.record(z.string(), Count)
const Ratio = z.number().min(0).max(1)
const Difference = z.number().min(-1).max(1)

/** What the order file holds, counted over all its rows; money in minor units of `currency`. */
const Source = z.strictObject({
  rows: Count,
  rowsWithoutCustomer: Count,
  customers: Count,
  orders: Count,
  cancellations: Count,
  adjustments: Count,
  duplicateRows: Count,
  /** Lines above zero. */
  grossMinor: z.int(),
  /** All lines. */
  netMinor: z.int(),
  /** ISO 4217. */
  currency: z.string().regex(/^[A-Z]{3}$/, 'three capital letters, e.g. GBP'),
})

/** OneID against the known truth; a pair is two records of one person. */
const Identity = z.strictObject({
  records: Count,
  profiles: Count,
  merges: Count,
  conflicts: Count,
  /** correctPairs / foundPairs; `null` when no pair was found. */
  precision: Ratio.nullable(),
  /** correctPairs / truePairs; `null` when there is no pair to find. */
  recall: Ratio.nullable(),
  truePairs: Count,
  foundPairs: Count,
  correctPairs: Count,
})

/** From the first to the last moment of the live phase; `(none)` stands for "had no profile yet". */
const Stages = z.strictObject({
  /** Every stage, in the order to show them. */
  order: z.array(z.string()),
  atStart: Counts,
  atEnd: Counts,
  /** People by stage at the start, then by stage at the end. */
  matrix: z.record(z.string(), Counts),
})

const Effect = z.union([
  z.strictObject({ estimate: Difference, low: Difference, high: Difference }),
  z.strictObject({ estimate: z.null(), low: z.null(), high: z.null() }),
])

/** `entered`, `heldOut`, `changedArms` and `bought` count people, each by her first entry; the rest counts touches. */
const JourneyFigures = z.strictObject({
  /** Both arms: the treated arm has `entered - heldOut`. */
  entered: Count,
  heldOut: Count,
  /** In both arms, as two profiles that were found to be one person: in none of the other figures of people. */
  changedArms: Count,
  planned: Count,
  /** Accepted by the platform or put before the guide. */
  created: Count,
  confirmed: Count,
  delivered: Count,
  /** Touches that did not go out, by reason. */
  suppressed: Counts,
  /** Both arms, like `entered`: reached the goal within its window after entry. */
  bought: Count,
  boughtHeldOut: Count,
  effect: Effect,
})

/** Everything `siyu demo --json` writes. Holds nothing that depends on wall-clock time or on restarts. */
export const DemoReport = z.strictObject({
  seed: z.int(),
  /** Length of the live phase. */
  days: Count,
  /** First and last instant of the live phase, virtual time. */
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  source: Source,
  identity: Identity,
  tags: z.record(z.string(), z.strictObject({ profiles: Count, coverage: Ratio })),
  stages: Stages,
  journeys: z.record(z.string(), JourneyFigures),
  touches: z.strictObject({ planned: Count, byState: Counts, byChannel: Counts, byReason: Counts }),
  /** By guide; states beside these are shown as they come. */
  tasks: z.record(
    z.string(),
    z.object({ open: Count, done: Count, interested: Count, expired: Count }).catchall(Count),
  ),
  /** From the sandbox's own log, joined with the ledger by an independent check. */
  sandbox: z.strictObject({
    messages: Count,
    doubled: Count,
    withoutTouch: Count,
    overCap: Count,
    inQuietHours: Count,
    refusedByQuota: Count,
    reads: Count,
    replies: Count,
  }),
})
export type DemoReport = z.infer<typeof DemoReport>
export type JourneyFigures = z.infer<typeof JourneyFigures>

/** The canonical bytes of a report: keys sorted by code unit, two spaces, one newline at the end. */
export function stringifyReport(report: DemoReport): string {
  return `${JSON.stringify(sortKeys(report), undefined, 2)}\n`
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]))
}
