import { z } from 'zod'
import type { Collections } from '../../stored/collections.js'
import { SECOND_MS } from '../../time.js'
import { UNASKED } from './take-out.js'

export const SendingAction = z.enum(['stop', 'resume', 'status'])
export type SendingAction = z.infer<typeof SendingAction>

export type SendingStatus = {
  stopped: boolean
  /** ISO 8601; when the switch was last turned. */
  since?: string
  /** Touches that wait for their release, and dispatches that are written down but not asked for. */
  planned: number
  ready: number
  /** Sends that a process may be asking the platform for just now: begun before the switch was turned. */
  asking: number
}

/** A welcome that was asked for longer ago has had its answer, or has none. */
const WELCOME_MS = 20 * SECOND_MS

export const STOP_SWITCH = 'sending:stopped'

export async function isStopped({ docs }: { docs: Pick<Collections, 'meta'> }): Promise<boolean> {
  return (await docs.meta.get(STOP_SWITCH))?.flag === true
}

/** The switch that stops every send at once: it is read before each request to the platform. */
export async function switchSending(docs: Collections, action: SendingAction, now: Date): Promise<SendingStatus> {
  if (action !== 'status') {
    await docs.meta.updateEach([
      { id: STOP_SWITCH, update: { $set: { flag: action === 'stop', at: now } }, upsert: true },
    ])
  }
  const stored = await docs.meta.get(STOP_SWITCH)
  return {
    stopped: stored?.flag === true,
    ...(stored?.at === undefined ? {} : { since: stored.at.toISOString() }),
    planned: await docs.touches.count({ state: 'planned' }),
    ready: await docs.dispatches.count({ state: { $in: [...UNASKED] } }),
    asking:
      (await docs.dispatches.count({ state: 'sending', 'claim.until': { $gt: now } })) +
      (await docs.welcomes.count({ state: 'sending', at: { $gt: new Date(now.getTime() - WELCOME_MS) } })),
  }
}
