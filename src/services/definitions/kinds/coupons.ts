import { CouponFile } from '../../../domain/content/content.js'
import { hashKey } from '../../../random.js'
import { type DefinitionKind, listed } from './kind.js'

/** Pools of codes: one file. */
export const coupons = {
  words: { zh: '券池', en: 'coupons' },
  schema: CouponFile,
  schemaName: 'coupons',
  folder: { setting: 'coupons', holds: 'file' },
  provides: { kind: 'coupon pool', at: ['pools', '*', 'id'] },
  references: () => [],
  lint: () => [],
  versioned: 'kind',
  // Never the codes: they are in the store already, each with what became of it.
  kept: ({ pools }) =>
    pools.map(({ codes, ...pool }) => ({
      ...pool,
      ...(codes !== undefined && { codes: { count: codes.length, hash: hashKey(32, ...codes) } }),
    })),
  shows: (files) => listed(files.flatMap((f) => f.pools)),
} as const satisfies DefinitionKind<typeof CouponFile>
