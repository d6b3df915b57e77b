import { MINUTE_MS, toDay } from '../../../src/time.js'
import type { State } from '../../state.js'
import { PLATFORM_TIME_ZONE } from '../../world/calendar.js'
import { Refusal } from './endpoint.js'

/** A cap on person-times or the like, which no count of calls covers (page 90454). Days are Beijing's. */
export type Quota = { name: string; per: 'minute' | 'hour' | 'day'; most: number }

/** Counts `by` against the quota. @throws {Refusal} 45009, and counts nothing */
export function takeQuota(state: State, quota: Quota, now: Date, by = 1): void {
  if (!countWithin(state, quota, now, by)) throw new Refusal(45009, 'api freq out of limit')
}

/** Counts `by` against the quota. @returns false, and counts nothing, when that were too much */
export function countWithin(state: State, { name, per, most }: Quota, now: Date, by = 1): boolean {
  const counter = `${name} ${windowOf(per, now)}`
  if (state.counter(counter) + by > most) return false
  state.count(counter, by)
  return true
}

function windowOf(per: Quota['per'], now: Date): string {
  if (per === 'day') return toDay(now, PLATFORM_TIME_ZONE)
  return `${per} ${Math.floor(now.getTime() / (per === 'minute' ? MINUTE_MS : 60 * MINUTE_MS))}`
}
