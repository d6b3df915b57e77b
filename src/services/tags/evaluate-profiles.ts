import { z } from 'zod'
import { tagChangesTable } from '../../domain/events/tables.js'
import {
  compileDeltas,
  compileTouched,
  type Delta,
  type Evaluable,
  passesOf,
  readsOf,
  type Touched,
} from '../../domain/rules/compile.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Profile } from '../../domain/identity/profile.js'
import type { Rule } from '../../domain/rules/rule.js'
import { ConflictError } from '../../errors.js'
import { hashKey } from '../../random.js'
import { type ProfileTags, tagPath } from '../../stored/tags.js'
import type { Definitions, Deps } from '../runtime/deps.js'
import { enterJourneys } from '../journeys/enter-journeys.js'
import { queueTagChanges, writebackTagIds } from './queue-writebacks.js'
import { figuresAtHand, loadTouched, readFigures, scopeOf } from '../segments/test-rules.js'

const CHUNK = 5_000

const DeltaRow = z.object({ p: z.number(), id: z.string(), old: z.string(), new: z.string() })

export type Evaluation = {
  evaluables: readonly Evaluable[]
  now: Date
  cause: 'realtime' | 'schedule' | 'operator'
  /** Names the evaluation; effects are keyed under it. */
  key: string
  /** Its number: of two evaluations of a profile the higher one counts. */
  seq: number
  /** When its number was given out: what it finds is known from then on. */
  knownAt: Date
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
 * Brings tags, stages and entry rules of a range of profiles up to date and acts on what changed; see `applyChunk`. Those
 * that ingest has overtaken are left out: the refresh evaluates them again before it ends.
 *
 * @param range - ids from `from` up to, not including, `to`; absent: everybody
 * @returns how many values changed
 */
export async function evaluateRange(
  deps: Deps,
  evaluation: Evaluation,
  range: { from: number; to: number } | undefined,
): Promise<number> {
  const ids = range === undefined ? {} : { fromProfileId: range.from, toProfileId: range.to }
  const options = { ...compileOptions(deps, evaluation.now), scope: { kind: 'all', ...ids } } as const
  let changes = 0
  for (const pass of passesOf(evaluation.evaluables, options)) {
    const deltas = await deps.events.query(compileDeltas(pass, options), DeltaRow, 'scan')
    for (const chunk of chunksOf(deltas)) {
      const ours = new Set(await withoutOvertaken(deps, [...new Set(chunk.map((d) => d.p))]))
      const applied = chunk.filter((d) => ours.has(d.p))
      await applyChunk(deps, evaluation, applied)
      changes += applied.length
    }
  }
  return changes
}

/** Those that ingest has not touched since the refresh began. */
export async function withoutOvertaken({ docs }: Deps, profileIds: readonly number[]): Promise<number[]> {
  const overtaken = new Set((await docs.overtaken.getMany(profileIds)).map((stamp) => stamp._id))
  return profileIds.filter((id) => !overtaken.has(id))
}

/**
 * The same for the profiles just touched. `tests` are rules to answer on the way, on the fresh values. With `heal` documents
 * are compared too, so that one that tells of an evaluation which was cut off, and is not to be repeated, is put right.
 *
 * @returns per profile, which of `tests` hold; how many values changed
 */
export async function evaluateTouched(
  deps: Deps,
  evaluation: Evaluation & {
    profileIds: readonly number[]
    /** Everybody named, where they are known already. */
    profiles?: ReadonlyMap<number, Profile>
    tests?: readonly Rule[]
    heal?: boolean
  },
): Promise<{ holds: Map<number, boolean[]>; changes: number }> {
  const { evaluables, profileIds, tests = [], now } = evaluation
  const holds = new Map<number, boolean[]>()
  let changes = 0
  if (evaluables.length + tests.length === 0) return { holds, changes }
  for (let i = 0; i < profileIds.length; i += CHUNK) {
    const profiles = await loadTouched(deps, profileIds.slice(i, i + CHUNK), evaluation.profiles)
    const compile = (some: readonly Profile[]) =>
      compileTouched(evaluables, { ...compileOptions(deps, now), scope: scopeOf(some) }, tests)
    const query = compile(profiles)
    const touched =
      evaluation.cause === 'realtime'
        ? await figuresAtHand(deps, query, profiles, compile, { load: true })
        : await readFigures(deps, query, profiles)
    for (const t of touched) holds.set(t.profileId, query.holds(t.figures))
    const deltas = evaluation.heal === true ? await differences(deps, query.values, touched) : query.deltas(touched)
    for (const chunk of chunksOf(deltas)) await applyChunk(deps, evaluation, chunk)
    changes += deltas.length
  }
  return { holds, changes }
}

/** A difference from the stored state, or, where that is right already, from the document alone; `state`: the document is. */
type Change = Delta & { only?: 'document' | 'state' }

/** What differs from the state or from the document. */
async function differences(
  { docs }: Deps,
  valuesOf: (figures: Touched['figures']) => { id: string; value: string }[],
  touched: readonly Touched[],
): Promise<Change[]> {
  const held = new Map((await docs.profileTags.getMany(touched.map((t) => t.profileId))).map((d) => [d._id, d.tags]))
  return touched.flatMap(({ profileId, figures }) =>
    valuesOf(figures).flatMap(({ id, value }): Change[] => {
      const old = figures.stored[id] ?? ''
      const change = { p: profileId, id, old, new: value }
      if (id.startsWith(ENTRY_PREFIX)) return old === value ? [] : [change]
      const shown = held.get(profileId)?.[id]?.v ?? ''
      if (old === value) return shown === value ? [] : [{ ...change, only: 'document' }]
      return shown === value ? [{ ...change, only: 'state' }] : [change]
    }),
  )
}

function compileOptions(deps: Deps, now: Date) {
  const { segments, tags } = deps.definitions.current
  return { nowMs: now.getTime(), segments, tags }
}

/** Pieces of about `CHUNK` differences; those of one profile stay together. @param deltas - in order of the profiles */
function* chunksOf(deltas: readonly Change[]): Generator<Change[]> {
  let from = 0
  for (let to = 1; to <= deltas.length; to++) {
    if (to < deltas.length && (to - from < CHUNK || deltas[to]!.p === deltas[to - 1]!.p)) continue
    yield deltas.slice(from, to)
    from = to
  }
}

/**
 * What is done with a change (document, write-back, journey entry) comes before the change is recorded as the new state, so
 * after a crash the same changes are found again. Where somebody else evaluates in between, a refresh is open and evaluates
 * the profile once more, document and all (`workRefreshes`).
 */
async function applyChunk(deps: Deps, evaluation: Evaluation, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  const { now, cause, key, seq, knownAt } = evaluation
  const tags = changes.filter((d) => !d.id.startsWith(ENTRY_PREFIX))
  await writeTags(
    deps,
    tags.filter((d) => d.only !== 'state'),
    seq,
    now,
  )
  const pushed = writebackTagIds(deps)
  if (pushed.size > 0)
    await queueTagChanges(
      deps,
      tags.filter((d) => pushed.has(d.id)).map((d) => ({ profileId: d.p, tagId: d.id })),
    )
  const entries = changes
    .filter((d) => d.id.startsWith(ENTRY_PREFIX) && d.new === '1')
    .map((d) => ({ profileId: d.p, journeyId: d.id.slice(ENTRY_PREFIX.length) }))
  await enterJourneys(deps, entries, now, key)
  const recorded = changes.filter((d) => d.only !== 'document')
  // The last statement before it is recorded: by now others may have evaluated what is newer, and found nothing to record.
  if (deps.worker.isLate()) throw new ConflictError('evaluated too slowly: others may have gone on')
  const token = hashKey(32, key, now.getTime(), JSON.stringify(recorded))
  try {
    await deps.events.insert(
      tagChangesTable,
      recorded.map((d) => ({
        tag_id: d.id,
        profile_id: d.p,
        changed_at: now,
        old_value: d.old,
        new_value: d.new,
        cause,
        version: seq,
        known_at: knownAt,
        seq,
      })),
      token,
    )
  } catch (err) {
    // Stored or not: the store knows.
    deps.facts.forget(recorded.map((d) => d.p))
    throw err
  }
  deps.facts.record(recorded, seq)
}

/** Gives documents the number of an evaluation, also where it finds nothing to change: nobody writes what is older. */
export async function markEvaluated(
  { docs }: Pick<Deps, 'docs'>,
  profileIds: readonly number[],
  { seq, now: at }: { seq: number; now: Date },
): Promise<void> {
  const { refused } = await docs.profileTags.insert(profileIds.map((_id) => ({ _id, seq, at, tags: {} })))
  await docs.profileTags.updateEach(
    refused.map((id) => ({ id, update: { $set: { seq, at } }, where: { seq: { $lte: seq } } })),
  )
}

/** Of those who were merged away. What is written of them has no tag and this number, so that the late bring none back. */
export async function leaveNoTags(
  { docs }: Pick<Deps, 'docs'>,
  profileIds: readonly number[],
  { seq, now: at }: { seq: number; now: Date },
): Promise<void> {
  const none = { $set: { seq, at, tags: {} } }
  await docs.profileTags.updateEach(
    profileIds.map((id) => ({ id, update: none, where: { seq: { $not: { $gt: seq } } }, upsert: true })),
  )
}

/** One write per profile, whatever the number of tags; a document that a later evaluation wrote stays as it is. */
async function writeTags({ docs }: Deps, deltas: readonly Change[], seq: number, at: Date): Promise<void> {
  const byProfile = new Map<number, Change[]>()
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
  const where = { seq: { $lte: seq } }
  await docs.profileTags.updateEach(
    later.map(([id, own]) => {
      const held = own.filter((d) => d.new !== '').map((d) => [tagPath(d.id), { v: d.new, since: at }] as const)
      const gone = own.filter((d) => d.new === '').map((d) => [tagPath(d.id), 1] as const)
      const update = {
        $set: { seq, at, ...Object.fromEntries(held) },
        ...(gone.length > 0 && { $unset: Object.fromEntries(gone) }),
      }
      return { id, update, where }
    }),
  )
}
