import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** What a guide sees: one per customer, merged from touches, closed by evidence. `_id` is its card's dispatch. */
export type GuideTask = {
  _id: string
  guideUserId: string
  profileId: number
  externalUserId: string
  touchIds: string[]
  titles: string[]
  state: 'open' | 'done' | 'expired'
  outcome?: string
  createdAt: Date
  dueAt: Date
  closedAt?: Date
}

export type GuidesCollections = {
  tasks: Collection<GuideTask>
}

export const guidesCollections: DefinitionsOf<GuidesCollections> = {
  tasks: {
    name: 'tasks',
    version: 1,
    indexes: [{ fields: ['state', 'dueAt'] }, { fields: ['guideUserId', 'state'] }, { fields: ['profileId'] }],
  },
}
