import { z } from 'zod'
import { unitOf } from '../../../src/random.js'

const common = {
  path: z
    .string()
    .startsWith('/')
    .optional()
    .describe(
      'The API that fails, e.g. /cgi-bin/message/send; with a * at its end every path that begins so; default all',
    ),
  times: z.int().min(1).optional().describe('How many of the next calls fail; default 1 unless there is a ratio'),
  ratio: z.number().min(0).max(1).optional().describe('Share of calls that fail, until the faults are cleared'),
  seed: z.int().default(1).describe('Of the draws for `ratio`'),
}
const onCallbacks = { times: common.times, ratio: common.ratio, seed: common.seed }

/** What may go wrong on the way. `reset`, `timeout`, `html` and `errcode` come before any effect, the others after it. */
export const Fault = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('errcode'), errcode: z.int(), ...common }),
    z.strictObject({ kind: z.literal('timeout'), ...common }).describe('Never answers'),
    z.strictObject({ kind: z.literal('reset'), ...common }).describe('The connection closes before any effect'),
    z
      .strictObject({ kind: z.literal('html'), status: z.int().min(400).max(599).default(502), ...common })
      .describe('A proxy answers'),
    z.strictObject({ kind: z.literal('lost_reply'), ...common }).describe('Takes effect, then the connection closes'),
    z.strictObject({ kind: z.literal('slow'), ms: z.int().min(1), ...common }).describe('Answers so much later'),
    z.strictObject({ kind: z.literal('truncated'), ...common }).describe('The JSON ends in the middle'),
    z
      .strictObject({ kind: z.literal('malformed_json_warning'), ...common })
      .describe('errcode 0 with "wrong json format" in errmsg'),
    z.strictObject({ kind: z.literal('clock_skew'), ms: z.int() }).describe("The platform's clock is off; 0 mends it"),
    z.strictObject({ kind: z.literal('callback_duplicate'), ...onCallbacks }),
    z.strictObject({ kind: z.literal('callback_reorder'), ...onCallbacks }).describe('Sent after the next few'),
    z.strictObject({ kind: z.literal('callback_delay'), ms: z.int().min(1), ...onCallbacks }),
    z.strictObject({ kind: z.literal('callback_drop'), ...onCallbacks }).describe('Never sent'),
  ])
  .refine((f) => !('ratio' in f && f.ratio !== undefined && f.times !== undefined), 'give times or ratio, not both')
export type Fault = z.infer<typeof Fault>
export type FaultInput = z.input<typeof Fault>

export type CallbackFault = Extract<Fault, { kind: `callback_${string}` }>
export type CallFault = Exclude<Fault, CallbackFault | { kind: 'clock_skew' }>

type Entry<F> = { fault: F; left: number; taken: number }

/**
 * Faults that wait for their call; in memory only. Whether a call fails is a hash of (seed, kind, path, number of the
 * call among those of its path), so it does not depend on what other calls are made in between.
 */
export class Faults {
  /** Milliseconds that the platform's clock is ahead. */
  skewMs = 0
  private calls: Entry<CallFault>[] = []
  private callbacks: Entry<CallbackFault>[] = []

  add(fault: Fault): void {
    if (fault.kind === 'clock_skew') {
      this.skewMs = fault.ms
      return
    }
    const left = fault.ratio !== undefined ? Infinity : (fault.times ?? 1)
    if (isCallbackFault(fault)) this.callbacks.push({ fault, left, taken: 0 })
    else this.calls.push({ fault, left, taken: 0 })
  }

  clear(): void {
    this.skewMs = 0
    this.calls = []
    this.callbacks = []
  }

  /** What is set, with how often each has struck. */
  list(): { fault: Fault; taken: number }[] {
    const skew = this.skewMs === 0 ? [] : [{ fault: { kind: 'clock_skew' as const, ms: this.skewMs }, taken: 0 }]
    return [...skew, ...[...this.calls, ...this.callbacks].map(({ fault, taken }) => ({ fault, taken }))]
  }

  /** The fault that befalls this call, oldest first. @param nth - number of the call among those of its path */
  take(path: string, nth: number): CallFault | undefined {
    if (this.calls.length === 0) return undefined
    const entry = this.calls.find((e) => e.left > 0 && matches(e.fault.path, path) && strikes(e.fault, path, nth))
    return entry === undefined ? undefined : use(entry)
  }

  /** @param what - stable name of the delivery */
  takeCallback(what: string): CallbackFault | undefined {
    if (this.callbacks.length === 0) return undefined
    const entry = this.callbacks.find((e) => e.left > 0 && strikes(e.fault, what, 0))
    return entry === undefined ? undefined : use(entry)
  }
}

function use<F>(entry: Entry<F>): F {
  entry.left--
  entry.taken++
  return entry.fault
}

function isCallbackFault(fault: CallFault | CallbackFault): fault is CallbackFault {
  return fault.kind.startsWith('callback_')
}

function matches(pattern: string | undefined, path: string): boolean {
  if (pattern === undefined) return true
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern
}

function strikes({ kind, ratio, seed }: CallFault | CallbackFault, path: string, nth: number): boolean {
  return ratio === undefined || unitOf(seed, 'fault', kind, path, nth) < ratio
}
