import { said } from '../../../said.js'
import type { ChannelKind } from './kind.js'

/** Mass messages (企业群发), in the name of the customer's guide. */
export const wecom = {
  words: { zh: '企业微信', en: 'WeCom' },
  address: { kind: 'identifier', type: 'external_userid' },
  needsConfirmation: true,
  class: 'any',
  usesQuota: true,
  handsOverCode: false,
  inSteps: said('群发，由导购确认', 'a mass message the guide confirms'),
} as const satisfies ChannelKind
