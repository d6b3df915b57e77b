import { messageOf } from '../../../errors.js'
import { hashKey } from '../../../random.js'
import { MINUTE_MS } from '../../../time.js'
import type { Deps } from '../../runtime/deps.js'
import { isOfItem } from '../../runtime/each-alone.js'
import { enterByRule } from './enter-by-rule.js'
import type { Changed, Occasion, Reaction } from './reaction.js'
import { writeBack } from './write-back.js'

/** Each by its name, in the order in which they are told. */
export const reactions: Readonly<Record<string, Reaction>> = {
  'write-back': writeBack,
  'enter-by-rule': enterByRule,
}

/** How long after it failed a reaction is told again. */
export const FIRST_REDO_MS = MINUTE_MS

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
  if (changes.length === 0) return
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
  } catch (failure) {
    // Of the two, the one that says whether others can go on; what went wrong first is in the log.
    throw isOfItem(failure) ? err : failure
  }
}
