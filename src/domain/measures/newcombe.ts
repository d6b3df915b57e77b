/** One arm of a comparison: `x` of `n` people did it. */
export type Arm = { n: number; x: number }

export type Interval = { low: number; high: number }

/** Difference of two shares, treated minus holdout, as ratios in [-1, 1]; all `null` where an arm is empty. */
export type Effect = { estimate: number; low: number; high: number } | { estimate: null; low: null; high: null }

/** Two-sided 95 % point of the standard normal. */
export const Z_95 = 1.959963984540054

/**
 * Newcombe's hybrid score interval (method 10, no continuity correction) for the difference of two independent
 * proportions. Intention to treat: `n` is everybody assigned to the arm, whether reached or not. Not rounded.
 *
 * @param z - standard normal point of the wanted confidence; default 95 %
 * @throws {RangeError} when an arm's `n` or `x` is no count or `x > n`
 * @see Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
 *   methods", Statistics in Medicine 17 (1998) 873–890
 */
export function computeEffect({ treated, holdout }: { treated: Arm; holdout: Arm }, z: number = Z_95): Effect {
  const [a, b] = [computeWilson(treated, z), computeWilson(holdout, z)]
  if (a === undefined || b === undefined) return { estimate: null, low: null, high: null }
  const [p, q] = [treated.x / treated.n, holdout.x / holdout.n]
  return {
    estimate: p - q,
    low: p - q - root((p - a.low) ** 2 + (b.high - q) ** 2),
    high: p - q + root((a.high - p) ** 2 + (q - b.low) ** 2),
  }
}

/**
 * Wilson score interval of one proportion, as ratios in [0, 1]; `undefined` for an empty arm.
 *
 * @throws {RangeError} when `n` or `x` is no count or `x > n`
 * @see Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209–212
 */
export function computeWilson({ n, x }: Arm, z: number = Z_95): Interval | undefined {
  if (!Number.isSafeInteger(n) || !Number.isSafeInteger(x) || x < 0 || x > n) {
    throw new RangeError(`an arm needs integers 0 ≤ x ≤ n, got x = ${x}, n = ${n}`)
  }
  if (n === 0) return undefined
  const half = z * root(z * z + 4 * n * (x / n) * (1 - x / n))
  const [middle, width] = [2 * x + z * z, 2 * (n + z * z)]
  // At the ends the formula gives exactly 0 and 1; floating point leaves a crumb.
  return { low: x === 0 ? 0 : (middle - half) / width, high: x === n ? 1 : (middle + half) / width }
}

// The square root is correctly rounded by IEEE 754, so the same counts give the same bits on every machine.
const root = Math.sqrt
