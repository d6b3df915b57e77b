import { z } from 'zod'

const common = {
  path: z.string().startsWith('/cgi-bin/').describe('The API that fails, e.g. /cgi-bin/message/send'),
  times: z.int().min(1).default(1).describe('How many of the next calls fail'),
}

/** What may go wrong on the way: `lost_reply` takes effect and closes the connection, the others come before any effect. */
export const Fault = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('lost_reply'), ...common }),
  z.strictObject({ kind: z.literal('timeout'), ...common }),
  z.strictObject({ kind: z.literal('html'), ...common }),
  z.strictObject({ kind: z.literal('errcode'), errcode: z.int(), ...common }),
])
export type Fault = z.infer<typeof Fault>
export type FaultInput = z.input<typeof Fault>

/** Faults that wait for their call. Kept in memory only. */
export class Faults {
  private waiting: Fault[] = []

  add(fault: Fault): void {
    this.waiting.push({ ...fault })
  }

  /** The fault that befalls this call, oldest first. */
  take(path: string): Fault | undefined {
    const fault = this.waiting.find((f) => f.path === path)
    if (fault !== undefined && --fault.times === 0) this.waiting = this.waiting.filter((f) => f !== fault)
    return fault
  }
}
