import { queueTagChanges, writebackTagIds } from '../queue-writebacks.js'
import type { Reaction } from './reaction.js'

/** A tag changed that is shown in WeCom: what is pushed there is read when it is pushed. */
export const writeBack: Reaction = {
  follows(deps) {
    const pushed = writebackTagIds(deps)
    return (id) => pushed.has(id)
  },
  react: (deps, changes) =>
    queueTagChanges(
      deps,
      changes.map((c) => ({ profileId: c.p, tagId: c.id })),
    ),
}
