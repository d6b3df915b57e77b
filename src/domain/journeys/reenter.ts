/** Why somebody who was in a journey before does not enter it again. */
export type ReenterRefusal = 'already_in' | 'once_only' | 'max_entries' | 'too_soon'

/**
 * May she enter (again)?
 *
 * @param runs - all of hers in this journey, any order
 * @param reenter - as the journey says; undefined: once only. `after`: milliseconds since she entered last
 * @returns why not; undefined: she may
 */
export function whyNotAgain(
  runs: readonly { state: string; enteredAt: Date }[],
  reenter: { after: number; max: number } | undefined,
  now: Date,
): ReenterRefusal | undefined {
  if (runs.length === 0) return undefined
  if (runs.some((r) => r.state === 'waiting')) return 'already_in'
  if (reenter === undefined) return 'once_only'
  if (runs.length >= reenter.max) return 'max_entries'
  const last = Math.max(...runs.map((r) => r.enteredAt.getTime()))
  return now.getTime() - last < reenter.after ? 'too_soon' : undefined
}
