import type { CouponPool } from '../../domain/content/content.js'
import { hashKey } from '../../random.js'
import type { Deps } from '../runtime/deps.js'

/** Adds the codes that pools name or have made up; those that are there stay as they are. */
export async function fillPools({ docs }: Pick<Deps, 'docs'>, pools: readonly CouponPool[]): Promise<void> {
  for (const { id: pool, codes, generate } of pools) {
    const all =
      codes ??
      Array.from(
        { length: generate?.count ?? 0 },
        (_, i) => `${generate!.prefix}${hashKey(8, 'coupon', pool, i).toUpperCase()}`,
      )
    await docs.coupons.insert(all.map((code) => ({ _id: `${pool}:${code}`, pool, code, state: 'free' })))
  }
}
