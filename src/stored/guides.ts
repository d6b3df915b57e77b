import { z } from 'zod'
import { define } from './define.js'

/** What a guide sees: one per customer, merged from touches, closed by evidence. `_id` is its card's dispatch. */
export const GuideTask = z.object({
  _id: z.string(),
  guideUserId: z.string(),
  profileId: z.number(),
  externalUserId: z.string(),
  touchIds: z.array(z.string()),
  titles: z.array(z.string()),
  state: z.enum(['open', 'done', 'expired']),
  outcome: z.string().optional(),
  createdAt: z.date(),
  dueAt: z.date(),
  closedAt: z.date().optional(),
})
export type GuideTask = z.infer<typeof GuideTask>

export const guidesCollections = {
  tasks: define({
    name: 'tasks',
    version: 1,
    schema: GuideTask,
    indexes: [{ fields: ['state', 'dueAt'] }, { fields: ['guideUserId', 'state'] }, { fields: ['profileId'] }],
  }),
}
