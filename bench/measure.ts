import { readFileSync, writeFileSync } from 'node:fs'
import { elapsedMs } from '../src/time.js'
import type { CaseResult, Round, Side, Spread } from './result.js'

export type Scale = 'full' | 'quick' | 'tiny'

export type BenchContext = {
  scale: Scale
  /** Of this benchmark alone: empty, or with `--keep` what an earlier run has left. Whoever made it removes it. */
  dir: string
  /** Says what is being done, on one line. */
  note: (text: string) => void
  /** Those of its cases that were asked for, all unless told otherwise. @throws {ConfigError} when it has none of that name */
  only: <T extends { name: string }>(cases: readonly T[]) => T[]
  /** Folder of another version of this program, built; for `versions`. */
  against?: string | undefined
  /** How many rounds, where not as many as usual. */
  rounds?: number | undefined
}

export interface Benchmark {
  name: string
  title: { zh: string; en: string }
  /** What one item is. */
  unit: { zh: string; en: string }
  baseline: string
  /** Goes on where an earlier run in the same folder stopped (`--keep`), and can be asked for single cases (`--only`). */
  keeps?: true
  run(context: BenchContext): Promise<CaseResult[]>
}

export type Case = {
  name: string
  items: number
  warmups: number
  rounds: number
  /** Before both sides of every round, untimed. Rounds are counted from 0, warm-ups included. */
  prepare?(round: number): Promise<void>
  product(round: number): Promise<void>
  baseline?(round: number): Promise<void>
  /** Further figures of the product's side, after it and untimed. */
  figures?(round: number): Promise<Record<string, number>>
}

/** Warm-ups, then rounds in turn: product, baseline, product, baseline … The ratio is taken pair by pair. */
export async function compare(plan: Case, note: (text: string) => void): Promise<CaseResult> {
  const product: Round[] = []
  const baseline: Round[] = []
  for (let round = 0; round < plan.warmups + plan.rounds; round++) {
    const isWarmup = round < plan.warmups
    note(`${plan.name}: ${isWarmup ? 'warm-up' : `round ${round - plan.warmups + 1} of ${plan.rounds}`}`)
    await plan.prepare?.(round)
    const mine = await measure(() => plan.product(round))
    const figures = await plan.figures?.(round)
    if (!isWarmup) product.push({ ...mine, ...(figures === undefined ? {} : { figures }) })
    if (plan.baseline === undefined) continue
    const theirs = await measure(() => plan.baseline!(round))
    if (!isWarmup) baseline.push(theirs)
  }
  return toCase(plan, product, baseline)
}

/** Both sides of every round, the ratio taken pair by pair. */
export function toCase(
  plan: Pick<Case, 'name' | 'items'>,
  product: readonly Round[],
  baseline: readonly Round[],
): CaseResult {
  const pairs = baseline.map((b, i) => ({ product: product[i]!, baseline: b }))
  return {
    name: plan.name,
    items: plan.items,
    product: toSide(product, plan.items),
    ...(pairs.length === 0
      ? {}
      : {
          baseline: toSide(baseline, plan.items),
          ratio: {
            wall: spread(pairs.map((p) => p.product.wallMs / p.baseline.wallMs)),
            cpu: spread(pairs.map((p) => p.product.cpuMs / p.baseline.cpuMs)),
          },
        }),
  }
}

/** CPU is that of the whole process: the embedded stores work in its threads. */
async function measure(work: () => Promise<void>): Promise<Round> {
  forgetPeakRss()
  const cpu = process.cpuUsage()
  const from = elapsedMs()
  await work()
  const wallMs = elapsedMs() - from
  const { user, system } = process.cpuUsage(cpu)
  const peak = peakRssMiB()
  return { wallMs, cpuMs: (user + system) / 1_000, ...(peak === undefined ? {} : { peakRssMiB: peak }) }
}

function toSide(rounds: readonly Round[], items: number): Side {
  return {
    rounds: [...rounds],
    perSecond: spread(rounds.map((r) => (items / r.wallMs) * 1_000)),
    cpuMsPerItem: spread(rounds.map((r) => r.cpuMs / items)),
  }
}

/** @throws {RangeError} without values */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length === 0) throw new RangeError('no rounds were measured')
  const median = Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!
  return { min: sorted[0]!, median, max: sorted.at(-1)! }
}

/** The value below which a part of them lies, `ratio` from 0 to 1; 0 without any. */
export function quantilesOf(values: readonly number[]): (ratio: number) => number {
  const sorted = [...values].sort((a, b) => a - b)
  return (ratio) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? 0
}

/** Linux keeps the peak of a process and can forget it; elsewhere there is no peak per round. @see proc_pid_clear_refs(5) */
function forgetPeakRss(): void {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5')
}

function peakRssMiB(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const kiB = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return kiB === undefined ? undefined : Math.round(Number(kiB) / 1_024)
}
