import type { Comparators } from './fields.js'
import type { TagValues } from './known.js'

/** What a clause demands of one figure or value of a person. */
export type Demand = {
  /** Which one: clauses with the same key are about the same. */
  of: string
  /** All of them must hold; none: that it is there. */
  tests: Comparators
  /** It must be absent. */
  absent?: true
  /** A count: 0, 1, 2, … */
  whole?: true
  values?: TagValues | undefined
}

/** Whether some value, or its absence, meets all of them; they are about the same. */
export function canAllBeMet(demands: readonly Demand[]): boolean {
  if (demands.some((d) => d.absent === true)) return demands.every((d) => d.absent === true)
  const tests = demands.map((d) => d.tests)
  const values = demands.find((d) => d.values !== undefined)?.values
  const isWhole = demands.some((d) => d.whole === true)
  const named = tests.flatMap((t) => (t.is !== undefined ? [[t.is]] : t.in !== undefined ? [t.in] : []))[0]
  const points = named ?? (typeof values === 'object' ? values : undefined)
  if (points !== undefined)
    return points.some((point) => (!isWhole || isCount(point)) && tests.every((test) => meets(String(point), test)))
  let [low, high, isOpen] = [isWhole ? 0 : -Infinity, Infinity, false]
  for (const { gte = -Infinity, gt = -Infinity, lte = Infinity, lt = Infinity } of tests) {
    low = Math.max(low, gte, isWhole ? Math.floor(gt) + 1 : gt)
    high = Math.min(high, lte, isWhole ? Math.ceil(lt) - 1 : lt)
  }
  if (isWhole) return Math.ceil(low) <= Math.floor(high)
  for (const { gt, lt } of tests) isOpen ||= gt === low || lt === high
  return low < high || (low === high && !isOpen)
}

function isCount(value: unknown): boolean {
  return Number.isInteger(Number(value)) && Number(value) >= 0
}

function meets(value: string, { is, in: anyOf, gte, gt, lte, lt }: Comparators): boolean {
  const n = value.trim() === '' ? NaN : Number(value)
  const equals = (to: string | number | boolean) => (typeof to === 'number' ? n === to : value === String(to))
  return (
    (is === undefined || equals(is)) &&
    (anyOf === undefined || anyOf.some(equals)) &&
    (gte === undefined || n >= gte) &&
    (gt === undefined || n > gt) &&
    (lte === undefined || n <= lte) &&
    (lt === undefined || n < lt)
  )
}
