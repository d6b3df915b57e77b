import { z } from 'zod'
import { eventsTable } from '../../domain/events/tables.js'
import { TouchState } from '../../domain/touches/touch.js'
import type { LocalText } from '../../domain/local-text.js'
import { countHeld } from '../journeys/list-held.js'
import { type SendingStatus, switchSending } from '../touches/switch-sending.js'
import type { Deps } from './deps.js'
import { countOpenBatches } from './lane-progress.js'

/** How things stand, in figures. */
export type Status = {
  at: string
  people: number
  events: number
  /** Accepted and not yet worked off. */
  waiting: { batches: number; callbacks: number }
  sending: SendingStatus & { mode: string }
  journeys: { id: string; name: LocalText; version: number; entered: number; waiting: number; heldOut: number }[]
  /** By state. */
  touches: Partial<Record<TouchState, number>>
  openTasks: number
  /** What cannot go on by itself; `siyu doctor` says more. */
  stuck: { runs: number; documents: number }
}

/** @param unfit - documents that cannot be read */
export async function describeStatus(deps: Deps, unfit: number): Promise<Status> {
  const { docs, events, clock, sending, definitions } = deps
  const [stored] = await events.query(
    `SELECT count() AS n FROM ${eventsTable.name}`,
    z.object({ n: z.number() }),
    'scan',
  )
  const journeys = [...definitions.current.journeys].map(async ([id, { journey, version }]) => ({
    ...{ id, name: journey.name, version },
    entered: await docs.runs.count({ journeyId: id }),
    waiting: await docs.runs.count({ journeyId: id, state: 'waiting' }),
    heldOut: await docs.runs.count({ journeyId: id, arm: 'holdout' }),
  }))
  const touches = TouchState.options.map(async (state) => [state, await docs.touches.count({ state })] as const)
  return {
    at: clock.now().toISOString(),
    people: await docs.profiles.count({ mergedInto: { $exists: false } }),
    events: stored?.n ?? 0,
    waiting: {
      batches: await countOpenBatches(deps),
      callbacks: await docs.callbacks.count({ state: { $in: ['urgent', 'accepted'] } }),
    },
    sending: { mode: sending.mode, ...(await switchSending(docs, 'status', clock.now())) },
    journeys: await Promise.all(journeys),
    touches: Object.fromEntries((await Promise.all(touches)).filter(([, n]) => n > 0)),
    openTasks: await docs.tasks.count({ state: 'open' }),
    stuck: { runs: await countHeld(docs), documents: unfit },
  }
}
