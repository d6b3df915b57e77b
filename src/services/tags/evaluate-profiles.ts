import { z } from 'zod'
import { tagChangesTable } from '../../domain/events/tables.js'
import { compileDeltas, compileTouched, type Delta, type Evaluable, readsOf } from '../../domain/rules/compile.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Rule } from '../../domain/rules/rule.js'
import { hashKey } from '../../random.js'
import { nextValue } from '../../stored/runtime.js'
import { type ProfileTags, tagPath } from '../../stored/tags.js'
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
    await applyDeltas(deps, evaluation, deltas)
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
  for (let i = 0; i < profileIds.length; i += CHUNK) {
    const profiles = await loadTouched(deps, profileIds.slice(i, i + CHUNK))
    const query = compileTouched(evaluables, { ...compileOptions(deps, now), scope: scopeOf(profiles) }, tests)
    const touched = await readFigures(deps, query, profiles)
    for (const t of touched) holds.set(t.profileId, query.holds(t.figures))
    await applyDeltas(deps, evaluation, query.deltas(touched))
  }
  return holds
}

function compileOptions(deps: Deps, now: Date) {
  return { nowMs: now.getTime(), segments: deps.definitions.current.segments }
}

async function applyDeltas(deps: Deps, evaluation: Evaluation, deltas: readonly Delta[]): Promise<void> {
  for (const chunk of chunksOf(deltas)) await applyChunk(deps, evaluation, chunk)
}

/** Pieces of about `CHUNK` differences; those of one profile stay together. @param deltas - in order of the profiles */
function* chunksOf(deltas: readonly Delta[]): Generator<Delta[]> {
  let from = 0
  for (let to = 1; to <= deltas.length; to++) {
    if (to < deltas.length && (to - from < CHUNK || deltas[to]!.p === deltas[to - 1]!.p)) continue
    yield deltas.slice(from, to)
    from = to
  }
}

async function applyChunk(deps: Deps, { now, cause, key }: Evaluation, deltas: readonly Delta[]): Promise<void> {
  const seq = await nextValue(deps.docs.meta, 'evaluation')
  const tags = deltas.filter((d) => !d.id.startsWith(ENTRY_PREFIX))
  await writeTags(deps, tags, seq, now)
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
    tagChangesTable,
    deltas.map((d) => ({
      tag_id: d.id,
      profile_id: d.p,
      changed_at: now,
      old_value: d.old,
      new_value: d.new,
      cause,
      version: seq,
    })),
    hashKey(32, key, now.getTime(), JSON.stringify(deltas)),
  )
}

/** One write per profile, whatever the number of tags; a document that a later evaluation wrote stays as it is. */
async function writeTags({ docs }: Deps, deltas: readonly Delta[], seq: number, at: Date): Promise<void> {
  const byProfile = new Map<number, Delta[]>()
  for (const delta of deltas) byProfile.set(delta.p, [...(byProfile.get(delta.p) ?? []), delta])
  const first = [...byProfile].flatMap(([_id, own]): ProfileTags[] => {
    const held = own.filter((d) => d.new !== '')
    if (held.length === 0) return []
    return [{ _id, seq, at, tags: Object.fromEntries(held.map((d) => [d.id, { v: d.new, since: at }])) }]
  })
  const { refused } = await docs.profileTags.insert(first)
  const written = new Set(first.map((doc) => doc._id))
  for (const id of refused) written.delete(id)
  const later = [...byProfile].filter(([id]) => !written.has(id))
  if (later.length === 0) return
  await docs.profileTags.updateEach(
    later.map(([id, own]) => {
      const held = own.filter((d) => d.new !== '').map((d) => [tagPath(d.id), { v: d.new, since: at }] as const)
      const gone = own.filter((d) => d.new === '').map((d) => [tagPath(d.id), 1] as const)
      const update = {
        $set: { seq, at, ...Object.fromEntries(held) },
        ...(gone.length > 0 && { $unset: Object.fromEntries(gone) }),
      }
      return { id, update, where: { seq: { $lte: seq } } }
    }),
  )
}
