import { z } from 'zod'
import { compileDeltas, compileTouched, type Delta, type Evaluable, readsOf } from '../../domain/rules/compile.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Rule } from '../../domain/rules/rule.js'
import { hashKey } from '../../random.js'
import { nextValue } from '../../stored/runtime.js'
import type { ProfileTag } from '../../stored/tags.js'
import type { Definitions, Deps } from '../runtime/deps.js'
import { enterJourneys } from '../journeys/enter-journeys.js'
import { queueTagChanges, writebackTagIds } from './queue-writebacks.js'
import { loadTouched, readFigures, scopeOf } from '../segments/test-rules.js'

const CHUNK = 1_000
const RANGE = 50_000

const DeltaRow = z.object({ p: z.number(), id: z.string(), old: z.string(), new: z.string() })

export type Evaluation = {
  evaluables: readonly Evaluable[]
  now: Date
  cause: 'realtime' | 'schedule' | 'operator'
  /** Names the evaluation; effects are keyed under it. */
  key: string
  /** Its place among evaluations; default: the next. What a later one has found stays. */
  seq?: number
}

/** Those that read something that changed, and those that read them in turn. */
export function evaluablesFor(
  definitions: Pick<Definitions, 'evaluables' | 'segments'>,
  changed: {
    events: ReadonlySet<string>
    traits: ReadonlySet<string>
    identifiers: ReadonlySet<string>
    all: boolean
  },
): Evaluable[] {
  const evaluables = definitions.evaluables.filter((e) => 'rule' in e || e.tag.refresh === 'realtime')
  if (changed.all) return evaluables
  const reads = new Map(evaluables.map((e) => [e.id, readsOf(e, definitions.segments)]))
  const chosen = new Set(
    evaluables.flatMap((e) => {
      const r = reads.get(e.id)!
      return (['events', 'traits', 'identifiers'] as const).some((kind) =>
        [...r[kind]].some((x) => changed[kind].has(x)),
      )
        ? [e.id]
        : []
    }),
  )
  for (let size = -1; size !== chosen.size;) {
    size = chosen.size
    for (const [id, r] of reads) if ([...r.tags].some((t) => chosen.has(t))) chosen.add(id)
  }
  return evaluables.filter((e) => chosen.has(e.id))
}

/**
 * Brings tags, stages and entry rules up to date and acts on what changed. What is done with a change (tag row, journey
 * entry) comes before the change is recorded as the new state, so after a crash the same changes are found again.
 *
 * @returns how many values changed
 */
export async function evaluateProfiles(deps: Deps, evaluation: Evaluation): Promise<number> {
  if (evaluation.evaluables.length === 0) return 0
  const numbered = await withSeq(deps, evaluation)
  const last = (await deps.docs.meta.get('counter:profile'))?.value ?? 0
  let changes = 0
  for (let from = 1; from <= last; from += RANGE) {
    const range = last < RANGE ? {} : { fromProfileId: from, toProfileId: from + RANGE }
    const sql = compileDeltas(evaluation.evaluables, {
      ...compileOptions(deps, evaluation.now),
      scope: { kind: 'all', ...range },
    })
    const deltas = await deps.events.query(sql, DeltaRow, 'scan')
    changes += deltas.length
    await applyDeltas(deps, numbered, deltas)
  }
  return changes
}

/**
 * The same for the profiles just touched. `tests` are rules to answer on the way, on the fresh values.
 *
 * @returns per profile, which of `tests` hold
 */
export async function evaluateTouched(
  deps: Deps,
  evaluation: Evaluation & { profileIds: readonly number[]; tests: readonly Rule[] },
): Promise<Map<number, boolean[]>> {
  const { evaluables, profileIds, tests, now } = evaluation
  const holds = new Map<number, boolean[]>()
  if (evaluables.length + tests.length === 0) return holds
  const numbered = await withSeq(deps, evaluation)
  for (let i = 0; i < profileIds.length; i += CHUNK) {
    const profiles = await loadTouched(deps, profileIds.slice(i, i + CHUNK))
    const query = compileTouched(evaluables, { ...compileOptions(deps, now), scope: scopeOf(profiles) }, tests)
    const touched = await readFigures(deps, query, profiles)
    for (const t of touched) holds.set(t.profileId, query.holds(t.figures))
    await applyDeltas(deps, numbered, query.deltas(touched))
  }
  return holds
}

function compileOptions(deps: Deps, now: Date) {
  return { nowMs: now.getTime(), segments: deps.definitions.current.segments }
}

type Numbered = Evaluation & { seq: number }

/** Numbered before anything is read: what is found then is at least as new as the number says. */
async function withSeq({ docs }: Deps, evaluation: Evaluation): Promise<Numbered> {
  return { ...evaluation, seq: evaluation.seq ?? (await nextValue(docs.meta, 'evaluation')) }
}

async function applyDeltas(deps: Deps, evaluation: Numbered, deltas: readonly Delta[]): Promise<void> {
  for (let i = 0; i < deltas.length; i += CHUNK) await applyChunk(deps, evaluation, deltas.slice(i, i + CHUNK))
}

async function applyChunk(deps: Deps, { now, cause, key, seq }: Numbered, deltas: readonly Delta[]): Promise<void> {
  const { profileTags } = deps.docs
  const tags = deltas.filter((d) => !d.id.startsWith(ENTRY_PREFIX))
  await profileTags.put(
    tags.map((d): ProfileTag => {
      return { _id: `${d.p}:${d.id}`, profileId: d.p, tagId: d.id, value: d.new, since: now, seq }
    }),
    { unlessNewer: 'seq' },
  )
  const pushed = writebackTagIds(deps)
  if (pushed.size > 0)
    await queueTagChanges(
      deps,
      tags.filter((d) => pushed.has(d.id)).map((d) => ({ profileId: d.p, tagId: d.id })),
    )
  const entries = deltas
    .filter((d) => d.id.startsWith(ENTRY_PREFIX) && d.new === '1')
    .map((d) => ({ profileId: d.p, journeyId: d.id.slice(ENTRY_PREFIX.length) }))
  await enterJourneys(deps, entries, now, key)
  await deps.events.insert(
    'tag_changes',
    ['tag_id', 'profile_id', 'changed_at', 'old_value', 'new_value', 'cause', 'version'],
    deltas.map((d) => [d.id, d.p, now.getTime(), d.old, d.new, cause, seq]),
    hashKey(32, key, now.getTime(), JSON.stringify(deltas)),
  )
}
