import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { SuppressReason } from '../../domain/touches/touch.js'
import type { Filter, Update } from '../../ports/document-language.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { LOST_CONTACT } from './send-dispatches.js'

/** The look that was read: whoever looked later knows better. */
export function asRead({ polls }: DispatchDoc): Filter<DispatchDoc> {
  return { state: 'created', polls }
}

/** Puts the next look off, but not one that somebody has asked for since this one began. */
export async function lookAgain(
  { docs }: Deps,
  doc: DispatchDoc,
  nextAt: Date,
  more: Update<DispatchDoc> = {},
): Promise<void> {
  const unasked = { ...asRead(doc), nextAt: doc.nextAt }
  if (await docs.dispatches.update(doc._id, { ...more, $set: { ...more.$set, nextAt } }, unasked)) return
  if (more.$inc !== undefined) await docs.dispatches.update(doc._id, more, asRead(doc))
}

const TAKEN_BACK: readonly string[] = [
  'exited',
  'opted_out',
  LOST_CONTACT,
  CONTENT_WITHDRAWN,
] satisfies SuppressReason[]

/** The reason for it has gone: she left the journey, or her guide, or said stop, or its words were withdrawn. */
export function isTakenBack(doc: DispatchDoc): doc is DispatchDoc & { reason: string } {
  return doc.reason !== undefined && TAKEN_BACK.includes(doc.reason)
}
