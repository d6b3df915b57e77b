/** Whom a channel reaches, and so what an address is there. */
export type Address =
  /** One person, by an identifier of hers of this type. */
  | { kind: 'identifier'; type: string }
  /** A group chat, by its id. */
  | { kind: 'group' }
  /** A member of the company, by her userid; `corpTags`: for those of her customers who have them. */
  | { kind: 'staff'; corpTags: boolean }
  /** Whoever comes and asks. */
  | { kind: 'none' }

/** What planning has to know of one channel; the way out itself is an adapter's. */
export type ChannelKind = {
  words: { zh: string; en: string }
  address: Address
  /** A member must press send before anything reaches the customer, and until then it can be taken back. */
  needsConfirmation: boolean
  /** Which contents it may carry: any, or those of service only. */
  class: 'any' | 'service'
  /** Each message uses up the customer's quota of mass messages. */
  usesQuota: boolean
  /** What it delivers is a code of one customer, so its contents name a pool; no other channel's may. */
  handsOverCode: boolean
  /** It goes out as a message of this channel. */
  carriedBy?: string
  /** What it means in a journey's `send`; absent where no journey sends through it. */
  inSteps?: string
}
