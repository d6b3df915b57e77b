import { tagChangesTable } from '../../domain/events/tables.js'
import { compileTouched, type Delta, type Evaluable, readsOf, type Touched } from '../../domain/rules/compile.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Profile } from '../../domain/identity/profile.js'
import type { Rule } from '../../domain/rules/rule.js'
import { ConflictError } from '../../errors.js'
import { own } from '../../parse.js'
import { hashKey } from '../../random.js'
import { type Overtaken, type ProfileTags, tagPath } from '../../stored/tags.js'
import type { Definitions, Deps } from '../runtime/deps.js'
import { react } from './reactions/react.js'
import { askable } from '../segments/askable.js'
import { figuresAtHand, loadTouched, scopeOf } from '../segments/test-rules.js'

/** Differences that are acted on and recorded together: each time costs the event store a part of each table. */
const CHUNK = 20_000

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

/** Those that ingest has not touched since the refresh began. */
export async function withoutOvertaken({ docs }: Deps, profileIds: readonly number[]): Promise<number[]> {
  const overtaken = new Set((await docs.overtaken.getMany(profileIds)).map((stamp) => stamp._id))
  return profileIds.filter((id) => !overtaken.has(id))
}

/**
 * Brings tags, stages and entry rules of the profiles just touched up to date and acts on what changed; see `applyChunk`.
 * `tests` are rules to answer on the way, on the fresh values. With `heal` documents are compared too, so that one that tells
 * of an evaluation which was cut off, and is not to be repeated, is put right; and reactions are told what a range owes them.
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
    /** What is owed, by profile. */
    heal?: ReadonlyMap<number, Owed>
  },
): Promise<{ holds: Map<number, boolean[]>; changes: number }> {
  const { evaluables, profileIds, tests = [], now } = evaluation
  const holds = new Map<number, boolean[]>()
  let changes = 0
  if (evaluables.length + tests.length === 0) return { holds, changes }
  for (const profiles of askable(await loadTouched(deps, profileIds, evaluation.profiles))) {
    const compile = (some: readonly Profile[]) =>
      compileTouched(evaluables, { ...compileOptions(deps, now), scope: scopeOf(some) }, tests)
    const query = compile(profiles)
    // Whoever comes in is likely to come again; of the others only those at hand are, for now.
    const load = evaluation.cause === 'realtime'
    const touched = await figuresAtHand(deps, query, profiles, compile, { load })
    for (const t of touched) holds.set(t.profileId, query.holds(t.figures))
    const deltas = evaluation.heal
      ? await differences(deps, query.values, touched, evaluation.heal)
      : query.deltas(touched)
    for (const chunk of chunksOf(deltas)) await applyChunk(deps, evaluation, chunk)
    changes += deltas.filter((d) => !('owedAt' in d)).length
  }
  return { holds, changes }
}

type Owed = NonNullable<Overtaken['owed']>

/**
 * A difference from the stored state, or, where that is right already, from the document alone; `state`: the document is.
 * With `owedAt` nothing differs, and reactions have not been told.
 */
type Change = Delta & ({ only?: 'document' | 'state' } | { owedAt: Date })

/** What differs from the state or from the document, and what is owed. */
async function differences(
  { docs }: Deps,
  valuesOf: (figures: Touched['figures']) => { id: string; value: string }[],
  touched: readonly Touched[],
  owed: ReadonlyMap<number, Owed>,
): Promise<Change[]> {
  const held = new Map((await docs.profileTags.getMany(touched.map((t) => t.profileId))).map((d) => [d._id, d.tags]))
  return touched.flatMap(({ profileId, figures }) => {
    const owedAt = new Map(owed.get(profileId)?.map(({ id, at }) => [id, at]))
    return valuesOf(figures).flatMap(({ id, value }): Change[] => {
      const old = own(figures.stored, id) ?? ''
      const change = { p: profileId, id, old, new: value }
      const at = owedAt.get(id)
      const equal = at === undefined ? [] : [{ ...change, owedAt: at }]
      if (id.startsWith(ENTRY_PREFIX)) return old === value ? equal : [change]
      const shown = own(held.get(profileId) ?? {}, id)?.v ?? ''
      if (old === value) return shown === value ? equal : [{ ...change, only: 'document' }]
      return shown === value ? [{ ...change, only: 'state' }] : [change]
    })
  })
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
 * What is done with a change (document, reactions) comes before the change is recorded as the new state, so after a crash the
 * same changes are found again. Where somebody else evaluates in between, a refresh is open and evaluates the profile once
 * more, document and all (`workRefreshes`).
 */
async function applyChunk(deps: Deps, evaluation: Evaluation, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  const { now, cause, key, seq, knownAt } = evaluation
  const shown = changes.filter((d) => !d.id.startsWith(ENTRY_PREFIX) && !('owedAt' in d) && d.only !== 'state')
  await writeTags(deps, byProfile(shown), seq, now)
  await react(
    deps,
    changes.filter((d) => !('owedAt' in d)),
    { now, key },
  )
  for (const [atMs, owed] of byInstant(changes)) await react(deps, owed, { now: new Date(atMs), key })
  const recorded = changes.filter((d) => !('owedAt' in d) && d.only !== 'document')
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

/** Values of tags, by id, that a profile has now; empty: none any more. */
export type ProfileChanges = { p: number; changes: readonly (readonly [id: string, value: string])[] }

function byProfile(changes: readonly Change[]): ProfileChanges[] {
  const rows = new Map<number, [string, string][]>()
  for (const { p, id, new: value } of changes) {
    const own = rows.get(p)
    if (own === undefined) rows.set(p, [[id, value]])
    else own.push([id, value])
  }
  return [...rows].map(([p, own]) => ({ p, changes: own }))
}

function byInstant(changes: readonly Change[]): Map<number, Change[]> {
  const owed = new Map<number, Change[]>()
  for (const change of changes) {
    if (!('owedAt' in change)) continue
    const atMs = change.owedAt.getTime()
    owed.set(atMs, [...(owed.get(atMs) ?? []), change])
  }
  return owed
}

/** One write per profile, whatever the number of tags; a document that a later evaluation wrote stays as it is. */
export async function writeTags(
  { docs }: Pick<Deps, 'docs'>,
  rows: readonly ProfileChanges[],
  seq: number,
  at: Date,
): Promise<void> {
  const first = rows.flatMap(({ p, changes }): ProfileTags[] => {
    const tags: ProfileTags['tags'] = {}
    for (const [id, v] of changes) if (v !== '') tags[id] = { v, since: at }
    return Object.keys(tags).length === 0 ? [] : [{ _id: p, seq, at, tags }]
  })
  const { refused } = await docs.profileTags.insert(first)
  const written = new Set(first.map((doc) => doc._id))
  for (const id of refused) written.delete(id)
  const later = rows.filter(({ p, changes }) => !written.has(p) && changes.length > 0)
  if (later.length === 0) return
  const where = { seq: { $lte: seq } }
  await docs.profileTags.updateEach(
    later.map(({ p, changes }) => {
      const held = changes.filter(([, v]) => v !== '').map(([id, v]) => [tagPath(id), { v, since: at }] as const)
      const gone = changes.filter(([, v]) => v === '').map(([id]) => [tagPath(id), 1] as const)
      const update = {
        $set: { seq, at, ...Object.fromEntries(held) },
        ...(gone.length > 0 && { $unset: Object.fromEntries(gone) }),
      }
      return { id: p, update, where }
    }),
  )
}
