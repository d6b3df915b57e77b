import { messageOf } from '../../../errors.js'
import { HOUR_MS } from '../../../time.js'
import { holdPublished } from '../../definitions/follow-published.js'
import type { Deps } from '../../runtime/deps.js'
import { FIRST_REDO_MS, reactions } from './react.js'

/** Those that are worked off at a time. */
const PIECE = 20
const LAST_REDO_MS = 6 * HOUR_MS

/** Tells those again that failed, each after a minute, two, four, up to six hours: until it succeeds. */
export async function redoReactions(deps: Deps, signal?: AbortSignal): Promise<void> {
  const { docs, log, clock } = deps
  const due = await docs.openReactions.find(
    { nextAt: { $lte: clock.now() } },
    { sort: { nextAt: 1 }, limit: PIECE, skipUnfit: true },
  )
  if (due.length === 0) return
  // After they are known: what is to be done may be published since this worker began.
  const held = await holdPublished(deps)
  if (held === undefined) return
  for (const { _id: id, reaction: name, changes, now, key, attempts } of due) {
    if (signal?.aborted === true) return
    try {
      // One that a newer program kept is left to that.
      if (reactions[name] === undefined) throw new RangeError(`there is no reaction "${name}"`)
      await reactions[name].react(held, changes, { now, key })
      await docs.openReactions.delete({ _id: id })
    } catch (err) {
      if (deps.worker.isLate()) throw err
      const error = messageOf(err)
      log.error('a reaction failed again', { reaction: name, changes: changes.length, attempts, cause: error })
      const nextAt = new Date(clock.now().getTime() + Math.min(FIRST_REDO_MS * 2 ** attempts, LAST_REDO_MS))
      await docs.openReactions.update(id, { $set: { nextAt, error }, $inc: { attempts: 1 } }, { attempts })
    }
  }
}

/** When the earliest of them is told again. */
export async function nextRedoAt({ docs }: Pick<Deps, 'docs'>): Promise<Date | undefined> {
  return (await docs.openReactions.findOne({}, { sort: { nextAt: 1 }, skipUnfit: true }))?.nextAt
}
