import type { ChannelKind } from './kind.js'

/** The channel of a journey's `task` steps. */
export const TASK_CHANNEL = 'task'

/** Cards to the guide, who speaks with the customer herself. */
export const task = {
  words: { zh: '导购任务', en: 'guide task' },
  address: { kind: 'staff', corpTags: false },
  needsConfirmation: false,
  class: 'any',
  usesQuota: false,
  handsOverCode: false,
} as const satisfies ChannelKind
