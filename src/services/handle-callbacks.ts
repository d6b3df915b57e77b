import { z } from 'zod'
import { SourceRecord } from '../domain/events/record.js'
import type { InboxRecord } from '../domain/identity/resolve.js'
import { messageOf } from '../errors.js'
import { parseInput } from '../parse.js'
import type { WecomEvent, WecomPort } from '../ports/wecom.js'
import { acceptRecords } from './accept-records.js'
import { deliveredRecord } from './collect-results.js'
import { type GuideTask, nextValue } from './collections.js'
import type { Deps } from './deps.js'
import { systemRecord } from './system-records.js'

const StoredEvent: z.ZodType<WecomEvent> = z.union([
  z.strictObject({
    kind: z.literal('contact'),
    externalUserId: z.string(),
    userId: z.string(),
    record: SourceRecord.optional(),
  }),
  z.strictObject({ kind: z.literal('lost_contact'), record: SourceRecord }),
  z.strictObject({
    kind: z.literal('card'),
    taskId: z.string(),
    key: z.string(),
    userId: z.string(),
    responseCode: z.string().optional(),
    at: z.date(),
  }),
  z.strictObject({ kind: z.literal('other'), name: z.string() }),
])

/** Stores a callback before it is answered; a repeat (same content) is the same callback. Resolves to whether it is new. */
export async function acceptCallback(
  deps: Pick<Deps, 'docs' | 'clock' | 'jobs'>,
  contentKey: string,
  event: WecomEvent,
): Promise<boolean> {
  if ((await deps.docs.callbacks.get(contentKey)) !== undefined) return false
  const seq = await nextValue(deps.docs.meta, 'callback')
  const { refused } = await deps.docs.callbacks.insert([
    { _id: contentKey, seq, state: 'accepted', acceptedAt: deps.clock.now(), event },
  ])
  if (refused.length > 0) return false
  await deps.jobs.add('handle-callbacks', undefined, { key: 'handle-callbacks' })
  return true
}

/** Works stored callbacks off in the order they came. */
export async function handleCallbacks(deps: Deps & { wecom: WecomPort }, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true) {
    const batch = await deps.docs.callbacks.find({ state: 'accepted' }, { sort: { seq: 1 }, limit: 200 })
    if (batch.length === 0) return
    for (const stored of batch) {
      await handle(
        deps,
        stored._id,
        parseInput(StoredEvent, stored.event, `Stored callback ${stored._id} cannot be read`),
      )
      await deps.docs.callbacks.update(stored._id, { $set: { state: 'done' }, $unset: { event: 1 } })
    }
  }
}

async function handle(deps: Deps & { wecom: WecomPort }, key: string, event: WecomEvent): Promise<void> {
  if (event.kind === 'contact') {
    const current = await deps.wecom.contact(event.externalUserId)
    const records = [event.record, current].filter((r) => r !== undefined).map((r) => parseInput(SourceRecord, r))
    await acceptRecords(deps, `callback:${key}`, records)
  } else if (event.kind === 'lost_contact') {
    await acceptRecords(deps, `callback:${key}`, [parseInput(SourceRecord, event.record)])
  } else if (event.kind === 'card') {
    await closeTask(deps, event)
  } else {
    deps.log.info('callback without use', { name: event.name })
  }
}

const OUTCOME_EVENTS: Readonly<Record<string, string>> = { interested: 'customer_interested', stop: 'opted_out' }

/** The guide did the task: its touches are delivered, and what the customer showed becomes an event. */
async function closeTask(
  deps: Deps & { wecom: WecomPort },
  card: Extract<WecomEvent, { kind: 'card' }>,
): Promise<void> {
  const { docs } = deps
  const task = await docs.tasks.get(card.taskId)
  if (task === undefined) {
    deps.log.warn('card of no task of ours', { taskId: card.taskId })
    return
  }
  const touches = await docs.touches.getMany(task.touchIds)
  await acceptRecords(deps, `card:${task._id}:${card.key}`, [
    ...cardRecords(task, card),
    ...touches.map((t) => deliveredRecord(t, card.at)),
  ])
  await docs.touches.updateEach(
    touches.map((t) => ({
      id: t._id,
      where: { state: { $in: ['planned', 'created', 'expired', 'unknown'] } },
      update: { $set: { state: 'delivered', confirmedAt: card.at, deliveredAt: card.at } },
    })),
  )
  await docs.tasks.update(task._id, { $set: { state: 'done', outcome: card.key, closedAt: card.at } })
  if (card.responseCode === undefined) return
  try {
    await deps.wecom.closeCard({ userId: card.userId, responseCode: card.responseCode, text: '已处理' })
  } catch (err) {
    // The task is closed in our books; a button that still looks live does no harm.
    deps.log.warn('card could not be closed', { taskId: task._id, cause: messageOf(err) })
  }
}

function cardRecords(task: GuideTask, card: { key: string; userId: string; at: Date }): InboxRecord[] {
  const properties = { taskId: task._id, userId: card.userId, outcome: card.key }
  const names = ['guide_contacted', ...(OUTCOME_EVENTS[card.key] === undefined ? [] : [OUTCOME_EVENTS[card.key]!])]
  return names.map((name) =>
    systemRecord(task.profileId, card.at, { id: `task:${task._id}:${name}`, name, occurredAt: card.at, properties }),
  )
}
