import { z } from 'zod'

/** People by the thousand or million, described instead of listed. Who they are follows from the seed and their number. */

const Ratio = z.number().min(0).max(1)
const Shares = z
  .array(Ratio)
  .min(1)
  .refine((shares) => Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-6, 'the shares must add up to 1')

/** What a customer does of himself, on average a year; how lively each one is differs from one to the next. */
const PerYear = z.strictObject({
  orders: z.number().min(0).default(4),
  edits: z.number().min(0).default(1).describe('A member of his edits the remark or tags in her client'),
  groupJoins: z.number().min(0).default(0.2),
  groupLeaves: z.number().min(0).default(0.1),
  adds: z.number().min(0).default(0.05).describe('He adds a further member'),
  deletes: z.number().min(0).default(0.05).describe('He deletes or blocks a member'),
  deletedByMember: z.number().min(0).default(0.01),
})
export type LifeKind = keyof z.infer<typeof PerYear>

/** Members of one kind; `share` of all members. */
const MemberKind = z.strictObject({
  share: Ratio,
  confirmAtOnce: Ratio,
  confirmLate: Ratio,
  never: Ratio,
  untickRatio: Ratio.default(0),
})

export const Population = z.strictObject({
  members: z.int().min(1).max(100_000).default(10).describe('导购 001 and on, with the ids guide001 and on'),
  departments: z.int().min(0).max(30_000).default(0).describe('Below the root; members are dealt out among them'),
  memberKinds: z
    .array(MemberKind)
    .min(1)
    .default([
      { share: 0.5, confirmAtOnce: 0.8, confirmLate: 0.15, never: 0.05, untickRatio: 0.02 },
      { share: 0.4, confirmAtOnce: 0.4, confirmLate: 0.45, never: 0.15, untickRatio: 0.05 },
      { share: 0.1, confirmAtOnce: 0.1, confirmLate: 0.3, never: 0.6, untickRatio: 0 },
    ]),
  ownSendsPerMonth: z.number().min(0).default(1).describe('Mass messages of her own, to customers of hers'),
  ownSendRatio: Ratio.default(0.2).describe('Part of her customers that such a message goes to'),
  absentRatio: Ratio.default(0.1).describe('Days on which a member handles nothing'),
  resignPerYear: Ratio.default(0).describe('Part of the members who leave within a year'),
  customers: z.int().min(0).max(10_000_000).default(1_000),
  followersPerCustomer: Shares.default([0.85, 0.12, 0.03]).describe('Shares of customers with 1, 2, 3 … members'),
  addedOverDays: z.number().min(1).default(720).describe('Before the start'),
  arriving: z
    .strictObject({
      ratio: Ratio.default(0),
      overDays: z.number().positive().default(30),
      halfRatio: Ratio.default(0.1),
    })
    .default({ ratio: 0, overDays: 30, halfRatio: 0.1 })
    .describe('Part of the customers who come after the start, and of those who wait half-way for the member'),
  unionIdRatio: Ratio.default(0.9).describe('Customers whose details show a unionid'),
  tagsPerCustomer: z.number().min(0).max(20).default(1).describe('Mean, drawn from corpTags'),
  states: z.array(z.string().max(30)).default(['door', 'live', 'parcel']).describe('Channels customers came through'),
  groups: z
    .strictObject({ perMember: z.int().min(0).default(1), customerRatio: Ratio.default(0.2) })
    .default({ perMember: 1, customerRatio: 0.2 })
    .describe('Groups each member owns, and the part of her customers who are in one at the start'),
  perYear: PerYear.default(() => PerYear.parse({})),
  orderMinor: z
    .strictObject({ mean: z.int().min(1).default(20_000) })
    .default({ mean: 20_000 })
    .describe("What an order is worth, in the minor unit of the brand's currency"),
})
export type Population = z.infer<typeof Population>
