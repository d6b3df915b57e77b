/** Of one API, since the client was created. */
export type ApiStats = {
  calls: number
  /** Calls that had to queue, and for how long together. */
  waits: number
  waitedMs: number
  /** Answers by errcode; `lost`: no readable answer; `not_sent`: nothing listened; `too_late`: not asked. */
  codes: Record<string, number>
  /** 45009 and 45033, which `codes` has as well. */
  tooOften: number
  tooParallel: number
  /** How many could run at a time at the last call. */
  width: number
  /** Length of the last block. */
  blockedMs: number
}
export type WecomStats = Record<string, ApiStats>

export function createCallStats() {
  const apis = new Map<string, ApiStats>()
  return {
    add(
      api: string,
      { lease, waitedMs }: { lease: { width: number }; waitedMs: number },
      code: number | 'lost' | 'not_sent' | 'too_late',
      blockedMs: number,
    ): void {
      let of = apis.get(api)
      if (of === undefined) {
        of = { calls: 0, waits: 0, waitedMs: 0, codes: {}, tooOften: 0, tooParallel: 0, width: 0, blockedMs: 0 }
        apis.set(api, of)
      }
      of.calls++
      if (waitedMs > 0) of.waits++
      of.waitedMs += waitedMs
      of.codes[code] = (of.codes[code] ?? 0) + 1
      if (code === 45009) of.tooOften++
      if (code === 45033) of.tooParallel++
      of.width = lease.width
      if (blockedMs > 0) of.blockedMs = blockedMs
    },
    read: (): WecomStats => Object.fromEntries([...apis].map(([api, of]) => [api, { ...of, codes: { ...of.codes } }])),
  }
}
