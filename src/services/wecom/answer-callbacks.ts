import { setTimeout as sleep } from 'node:timers/promises'
import type { WecomEvent } from '../../domain/wecom/event.js'
import { messageOf } from '../../errors.js'
import type { StoredCallback } from '../../stored/wecom.js'
import { holdPublished } from '../definitions/follow-published.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { loseContact } from './lose-contact.js'
import { sendWelcome } from './send-welcome.js'

/** Each waits for answers of the platform: enough of them that 100 adds a second never queue here. */
const AT_ONCE = 100
const LOOK_AGAIN_MS = 20

/**
 * The part of callbacks that cannot wait, in the order they came: welcomes, and touches to customers who are lost. What
 * is left of them goes on to `handleCallbacks`. One that fails is left for the next run, the others go on.
 */
export async function answerCallbacks(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const busy = new Set<string>()
  const failures = new Map<string, unknown>()
  await inParallel(waiting(deps, busy, failures, signal), AT_ONCE, async ({ stored, held }) => {
    try {
      await answer(held, stored)
      await deps.docs.callbacks.update(stored._id, { $set: { state: 'accepted' } }, { state: 'urgent' })
    } catch (err) {
      failures.set(stored._id, err)
      deps.log.warn('callback not answered yet', { callback: stored._id, cause: messageOf(err) })
    } finally {
      busy.delete(stored._id)
    }
  })
  await deps.jobs.add('handle-callbacks', undefined, { key: 'handle-callbacks' })
  if (failures.size > 0) throw failures.values().next().value
}

/** Those that wait, also those that come while others are being answered. */
async function* waiting(
  deps: ServiceDeps,
  busy: Set<string>,
  failures: ReadonlyMap<string, unknown>,
  signal: AbortSignal | undefined,
): AsyncIterable<{ stored: StoredCallback; held: ServiceDeps }> {
  while (signal?.aborted !== true) {
    const batch = await deps.docs.callbacks.find(
      { state: 'urgent', _id: { $nin: [...busy, ...failures.keys()] } },
      { sort: { seq: 1 }, limit: AT_ONCE, skipUnfit: true },
    )
    if (batch.length === 0) {
      if (busy.size === 0) return
      await sleep(LOOK_AGAIN_MS)
      continue
    }
    const held = await holdPublished(deps)
    if (held === undefined) return
    for (const stored of batch) {
      busy.add(stored._id)
      yield { stored, held }
    }
  }
}

async function answer(deps: ServiceDeps, stored: StoredCallback): Promise<void> {
  const { _id, acceptedAt } = stored
  const event = readStored(deps, stored)
  if (event?.kind === 'contact_lost') await loseContact(deps, event, `callback:${_id.slice(0, 16)}`)
  if (event?.kind === 'contact' && event.welcomeCode !== undefined)
    await sendWelcome(deps, { ...event, welcomeCode: event.welcomeCode }, acceptedAt)
}

/** What a stored callback says; one that cannot be read is set aside with a word in the log. */
export function readStored(deps: ServiceDeps, { card, message }: StoredCallback): WecomEvent | undefined {
  if (message === undefined) return card
  try {
    return deps.wecom.readEvent(message)
  } catch (err) {
    deps.log.error('callback cannot be read', { cause: messageOf(err) })
    return undefined
  }
}
