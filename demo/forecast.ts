import { DAY_MS, elapsedMs, SECOND_MS } from '../src/time.js'

/** The parts of a run, in their order. */
const PARTS = ['history', 'contacts', 'evaluation', 'live', 'report'] as const
export type PartName = (typeof PARTS)[number]

export type Part = {
  /** What it costs on the machine where all of them were measured. */
  costMs: number
  /** How much of that an earlier process had done. */
  foundMs: number
  /** How much of it is done. */
  doneMs: number
  /** How long this process took from the one to the other. */
  tookMs: number
}

/** So much of the run tells how fast a machine is: two seconds of the one where the costs were measured. */
const KNOWN_MS = 2 * SECOND_MS
/** A part's own pace counts for as much as everybody's once so much of it is done. */
const PRIOR_RATIO = 0.1

/**
 * How long the rest takes: what is left of each part at the pace of all that was done so far, and more and more at its own
 * pace as it goes on. `undefined` while too little is done to know.
 */
export function estimateLeftMs(parts: readonly Part[]): number | undefined {
  const workMs = sum(parts.map(({ doneMs, foundMs }) => doneMs - foundMs))
  if (workMs < KNOWN_MS) return undefined
  const pace = sum(parts.map(({ tookMs }) => tookMs)) / workMs
  return sum(
    parts.map(({ costMs, foundMs, doneMs, tookMs }) => {
      const leftMs = Math.max(0, costMs - doneMs)
      if (leftMs === 0) return 0
      const priorMs = PRIOR_RATIO * costMs
      return leftMs * ((tookMs + pace * priorMs) / (doneMs - foundMs + priorMs))
    }),
  )
}

/** How many records lie before the last `days` days of the files: near enough to forecast by. */
export function expectRecords(days: number): number {
  const perDay = days <= 30 ? RECORDS_PER_LATE_DAY : RECORDS_PER_DAY
  return Math.max(0, Math.round(RECORDS_BEFORE_LAST_30_DAYS + (30 - days) * perDay))
}

// Counted in runs of 3, 30 and 90 days of the shipped files.
const RECORDS_BEFORE_LAST_30_DAYS = 28_465
const RECORDS_PER_LATE_DAY = 127
const RECORDS_PER_DAY = 103

// CPU time in runs of 3 and 30 days; only the proportions are of any consequence.
/** Members come before orders, and take less. */
const MEMBERS = 10_000
const MEMBER_MS = 0.36
const ORDER_MS = 0.55
const CONTACT_MS = 0.7
const EVALUATION_MS = 2_600
/** The first instant, at which journeys begin, counts like some hours. */
const LIVE_BEGIN_MS = 1_000
const LIVE_DAY_MS = 4_900
const REPORT_MS = 1_000

/** What so much of a part costs. Live is counted in virtual milliseconds. */
const COSTS: Readonly<Record<PartName, (n: number) => number>> = {
  history: (records) => Math.min(records, MEMBERS) * MEMBER_MS + Math.max(0, records - MEMBERS) * ORDER_MS,
  contacts: (contacts) => contacts * CONTACT_MS,
  evaluation: () => EVALUATION_MS,
  live: (virtualMs) => LIVE_BEGIN_MS + (virtualMs / DAY_MS) * LIVE_DAY_MS,
  report: () => REPORT_MS,
}

/** Follows a run, and says how long it still takes. */
export class Forecast {
  private readonly parts: Record<PartName, Part>
  private current: PartName | undefined
  private atMs = 0

  /** @param sizes - how much there is of the parts that are counted */
  constructor(
    sizes: { records: number; contacts: number; liveMs: number },
    private readonly now: () => number = elapsedMs,
  ) {
    const part = (name: PartName, n = 0): Part => ({ costMs: COSTS[name](n), foundMs: 0, doneMs: 0, tookMs: 0 })
    this.parts = {
      history: part('history', sizes.records),
      contacts: part('contacts', sizes.contacts),
      evaluation: part('evaluation'),
      live: part('live', sizes.liveMs),
      report: part('report'),
    }
  }

  /** Ends the part before. When this is the first, those before it were done by an earlier process. */
  begin(name: PartName): void {
    if (this.current === undefined) {
      for (const earlier of PARTS.slice(0, PARTS.indexOf(name))) find(this.parts[earlier], Infinity)
      this.atMs = this.now()
    } else this.take(this.current, Infinity)
    this.current = name
  }

  /** `n` of a counted part are done. */
  reach(name: 'history' | 'contacts' | 'live', n: number): void {
    this.take(name, COSTS[name](n))
  }

  /** `n` of a counted part were done by an earlier process. */
  find(name: 'history' | 'live', n: number): void {
    find(this.parts[name], COSTS[name](n))
    this.atMs = this.now()
  }

  /** `undefined` until the machine is known. */
  leftMs(): number | undefined {
    const leftMs = estimateLeftMs(Object.values(this.parts))
    return leftMs === undefined ? undefined : Math.max(0, leftMs - (this.now() - this.atMs))
  }

  private take(name: PartName, doneMs: number): void {
    const part = this.parts[name]
    const now = this.now()
    part.doneMs = Math.max(part.doneMs, Math.min(part.costMs, doneMs))
    part.tookMs += now - this.atMs
    this.atMs = now
  }
}

function find(part: Part, doneMs: number): void {
  part.foundMs = part.doneMs = Math.min(part.costMs, doneMs)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
