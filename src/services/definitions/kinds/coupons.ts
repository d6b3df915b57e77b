import { CouponFile } from '../../../domain/content/content.js'
import { type DefinitionKind, listed, namesIn } from './kind.js'

/** Pools of codes: one file. */
export const coupons = {
  words: { zh: '券池', en: 'coupons' },
  schema: CouponFile,
  schemaName: 'coupons',
  folder: { setting: 'coupons', holds: 'file' },
  provides: { kind: 'coupon pool', names: (file) => namesIn('pools', file.pools) },
  references: () => [],
  lint: () => [],
  versioned: 'kind',
  shows: (files) => listed(files.flatMap((f) => f.pools)),
} as const satisfies DefinitionKind<typeof CouponFile>
