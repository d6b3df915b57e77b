import { entryRule, type JourneyOfRuns, pinKey } from '../../domain/journeys/definition.js'
import { compileTouched, type Evaluable, readsOf } from '../../domain/rules/compile.js'
import type { Reads, Rule } from '../../domain/rules/rule.js'
import type { OwnedEvent } from '../../stored/ingest.js'
import type { Run } from '../../stored/journeys.js'
import { readPinned } from '../definitions/read-pinned.js'
import type { Deps } from '../runtime/deps.js'
import { loadTouched, readPastFigures, scopeOf } from '../segments/test-rules.js'
import { exitRun } from './enter-journeys.js'

/**
 * Ends runs that would not be, had we known: an event that arrives now, and happened before somebody entered, may make the rule
 * false by which she did (the order of a day ago, for "has not ordered"). It is asked as of her entry, by what had happened by
 * then. Nobody leaves the holdout.
 */
export async function endUnfounded(deps: Deps, events: readonly OwnedEvent[], now: Date): Promise<void> {
  const names = new Set(events.map((e) => e.name))
  const journeys = [...deps.definitions.current.pinned].filter(([, j]) =>
    readsEvents(deps, ruleOf(j)).some((n) => names.has(n)),
  )
  if (journeys.length === 0) return
  const earliest = events.reduce((at, e) => (e.occurredAt < at ? e.occurredAt : at), now)
  const runs = await deps.docs.runs.find(
    {
      profileId: { $in: [...new Set(events.map((e) => e.profileId))] },
      journeyId: { $in: [...new Set(journeys.map(([key]) => key.slice(0, key.lastIndexOf('@'))))] },
      // Also those that have taken their last step: what they planned may still wait.
      state: { $in: ['waiting', 'ended'] },
      arm: 'treated',
      enteredAt: { $gte: earliest },
    },
    { skipUnfit: true },
  )
  const rules = new Map(journeys.map(([key, journey]) => [key, ruleOf(journey)]))
  for (const run of runs) {
    const rule = rules.get(pinKey(run.journeyId, run.version))
    if (rule === undefined) continue
    const reads = new Set(readsEvents(deps, rule))
    const isLate = (e: OwnedEvent) =>
      e.profileId === run.profileId && e.occurredAt <= run.enteredAt && reads.has(e.name)
    if (events.some(isLate) && !(await heldThen(deps, run, rule))) await exitRun(deps, run._id, now)
  }
}

function ruleOf({ enter }: JourneyOfRuns): Rule | undefined {
  return enter && entryRule({ enter })
}

/** Events that a rule looks at, also through tags and segments. */
function readsEvents({ definitions }: Deps, rule: Rule | undefined): string[] {
  if (rule === undefined) return []
  const { tags, segments } = definitions.current
  const byId = new Map(tags.map((tag) => [tag.id, tag]))
  const reads: Reads = readsOf({ id: 'entry', rule }, segments)
  for (const id of reads.tags) {
    const tag = byId.get(id)
    if (tag === undefined) continue
    const more = readsOf({ id, tag }, segments)
    for (const event of more.events) reads.events.add(event)
    for (const other of more.tags) reads.tags.add(other) // walked too, as it is added
  }
  return [...reads.events]
}

/** Whether the rule held when she entered, by all that is known today to have happened by then; also where nobody can tell. */
async function heldThen(deps: Deps, { profileId, enteredAt, pins }: Run, rule: Rule): Promise<boolean> {
  const segments = await readPinned(deps, 'segments', pins?.segments)
  if ('unreadable' in segments) return true
  const { tags } = deps.definitions.current
  const computed = tags.map((tag): Evaluable => ({ id: tag.id, tag }))
  const scope = scopeOf(await loadTouched(deps, [profileId]))
  const query = compileTouched(
    [],
    { nowMs: enteredAt.getTime(), scope, segments: segments.value, tags, knowledge: 'happened', computed },
    [rule],
  )
  const [then] = await readPastFigures(deps, query)
  return then === undefined || query.holds(then.figures)[0] === true
}
