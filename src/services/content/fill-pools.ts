import type { CouponPool } from '../../domain/content/content.js'
import { hashKey } from '../../random.js'
import type { Deps } from '../runtime/deps.js'

/**
 * Makes the free codes of these pools those that they name or have made up: new ones are added, and those that their pool has no
 * more are handed to nobody. What was issued stays; so does a pool that is gone, for runs that are on it.
 */
export async function fillPools({ docs }: Pick<Deps, 'docs'>, pools: readonly CouponPool[]): Promise<void> {
  const { coupons } = docs
  const known = new Set<string>()
  const theirs = { pool: { $in: pools.map((p) => p.id) } }
  for (const { id: pool, codes, generate } of pools) {
    const all =
      codes ??
      Array.from(
        { length: generate?.count ?? 0 },
        (_, i) => `${generate!.prefix}${hashKey(8, 'coupon', pool, i).toUpperCase()}`,
      )
    for (const code of all) known.add(idOf(pool, code))
    await coupons.insert(all.map((code) => ({ _id: idOf(pool, code), pool, code, state: 'free' })))
  }
  for await (const batch of coupons.scan({ ...theirs, state: 'free' }))
    await coupons.updateEach(
      batch
        .filter(({ _id }) => !known.has(_id))
        .map(({ _id: id }) => ({ id, where: { state: 'free' }, update: { $set: { state: 'withdrawn' } } })),
    )
  for await (const batch of coupons.scan({ ...theirs, state: 'withdrawn' }))
    await coupons.updateEach(
      batch
        .filter(({ _id }) => known.has(_id))
        .map(({ _id: id }) => ({ id, where: { state: 'withdrawn' }, update: { $set: { state: 'free' } } })),
    )
}

function idOf(pool: string, code: string): string {
  return `${pool}:${code}`
}
