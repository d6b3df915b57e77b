import { DAY_MS } from '../../time.js'

/** Stands before an instant, in milliseconds since the epoch, where one is kept as a tag's value. */
export const INSTANT_SIGN = '@'

/** Whole days since an instant that is kept as a value. Any other text stays: version 0.1 kept the number of days. */
export function daysSince(stored: string, nowMs: number): string {
  if (!stored.startsWith(INSTANT_SIGN)) return stored
  return String(Math.trunc((nowMs - Number(stored.slice(INSTANT_SIGN.length))) / DAY_MS))
}
