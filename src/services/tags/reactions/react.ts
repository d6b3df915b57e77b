import { messageOf } from '../../../errors.js'
import { hashKey } from '../../../random.js'
import { HOUR_MS, MINUTE_MS } from '../../../time.js'
import type { Deps } from '../../runtime/deps.js'
import { enterByRule } from './enter-by-rule.js'
import type { Changed, Occasion, Reaction } from './reaction.js'
import { writeBack } from './write-back.js'

/** Each by its name, in the order in which they are told. */
export const reactions: Readonly<Record<string, Reaction>> = {
  'write-back': writeBack,
  'enter-by-rule': enterByRule,
}

/** Those that are worked off at a time. */
const PIECE = 20
const FIRST_REDO_MS = MINUTE_MS
const LAST_REDO_MS = 6 * HOUR_MS

/** Whether any reaction is told of a tag or entry rule. */
export function followedBy(deps: Pick<Deps, 'definitions'>): (id: string) => boolean {
  const each = Object.values(reactions).map((reaction) => reaction.follows(deps))
  const known = new Map<string, boolean>()
  return (id) => {
    let is = known.get(id)
    if (is === undefined) known.set(id, (is = each.some((follows) => follows(id))))
    return is
  }
}

/**
 * Tells every reaction of the changes it follows. One that fails holds up neither the others nor the evaluation: what it was
 * told is kept, and it alone is told again (`redoReactions`).
 *
 * @throws what it failed with, where that cannot be kept either, or the worker is late: then everything is to be repeated
 */
export async function react(deps: Deps, changes: readonly Changed[], occasion: Occasion): Promise<void> {
  for (const [name, reaction] of Object.entries(reactions)) {
    const follows = reaction.follows(deps)
    const told = changes.filter((c) => follows(c.id)).map(({ p, id, new: value }) => ({ p, id, new: value }))
    if (told.length === 0) continue
    try {
      await reaction.react(deps, told, occasion)
    } catch (err) {
      // A worker that is late dates nothing and does nothing more: whoever goes on finds it again.
      if (deps.worker.isLate()) throw err
      await keepForLater(deps, name, told, occasion, err)
    }
  }
}

async function keepForLater(deps: Deps, name: string, changes: Changed[], { now, key }: Occasion, err: unknown) {
  const { docs, log, clock } = deps
  const error = messageOf(err)
  log.error('a reaction failed and is tried again', { reaction: name, changes: changes.length, cause: error })
  const _id = hashKey(32, name, key, now.getTime(), JSON.stringify(changes))
  const nextAt = new Date(clock.now().getTime() + FIRST_REDO_MS)
  try {
    await docs.openReactions.insert([{ _id, reaction: name, changes, now, key, attempts: 1, nextAt, error }])
  } catch {
    throw err // of the two, this is the one that says what went wrong first
  }
}

/** Tells those again that failed, each after a minute, two, four, up to six hours: until it succeeds. */
export async function redoReactions(deps: Deps, signal?: AbortSignal): Promise<void> {
  const { docs, log, clock } = deps
  const due = await docs.openReactions.find(
    { nextAt: { $lte: clock.now() } },
    { sort: { nextAt: 1 }, limit: PIECE, skipUnfit: true },
  )
  for (const { _id: id, reaction: name, changes, now, key, attempts } of due) {
    if (signal?.aborted === true) return
    try {
      // One that a newer program kept is left to that.
      if (reactions[name] === undefined) throw new RangeError(`there is no reaction "${name}"`)
      await reactions[name].react(deps, changes, { now, key })
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
