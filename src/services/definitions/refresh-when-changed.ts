import { textOfRules } from '../../domain/rules/compile.js'
import { hashKey } from '../../random.js'
import type { Deps } from '../runtime/deps.js'

/** The schedule that computes everything for everybody. */
export const FULL = 'weekly'
/** How values are written: another word here has everybody computed anew by programs that write them otherwise. */
const VALUES = 'instants'

/**
 * After a change of tags or of entry rules, or of a segment that they read, everybody is due for a full refresh: nobody has a
 * value under the new ones.
 */
export async function refreshWhenChanged({ docs, definitions }: Deps): Promise<void> {
  const { evaluables, segments, version } = definitions.current
  const hash = hashKey(32, VALUES, textOfRules(evaluables, segments))
  const evaluated = await docs.meta.get('evaluated')
  // Who is behind asks for nothing: somebody has a later publication, and has asked for what it needs.
  if (evaluated?.text === hash || (evaluated?.value ?? 0) > version) return
  await docs.meta.updateEach([
    { id: `schedule:${FULL}`, update: { $set: { at: new Date(0) }, $inc: { value: 1 } }, upsert: true },
    {
      id: 'evaluated',
      update: { $set: { text: hash, value: version } },
      where: { value: { $not: { $gt: version } } },
      upsert: true,
    },
  ])
}
