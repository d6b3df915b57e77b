import { said } from '../../../said.js'
import type { ChannelKind } from './kind.js'

/** A code that the guide hands over: a card to her. */
export const coupon = {
  words: { zh: '优惠券', en: 'coupon' },
  address: { kind: 'staff', corpTags: false },
  needsConfirmation: false,
  class: 'any',
  usesQuota: false,
  handsOverCode: true,
  carriedBy: 'task',
  inSteps: said('券码，由导购交给客户', 'a code, handed over by the guide'),
} as const satisfies ChannelKind
