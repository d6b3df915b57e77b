import { nextMoment } from '../../stored/runtime.js'
import type { Deps } from './deps.js'

/** The next place among all groups of work, as `nextMoment` gives it out, known to what this process keeps at hand. */
export function takeMoment({ docs, clock, facts }: Pick<Deps, 'docs' | 'clock' | 'facts'>, told?: readonly Date[]) {
  return facts.takeNumber(() => nextMoment(docs.meta, clock, told))
}
