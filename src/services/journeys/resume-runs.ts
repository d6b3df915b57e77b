import { TASK_CHANNEL } from '../../domain/touches/kinds/task.js'
import { decide } from '../../domain/journeys/decide.js'
import type { Decision, StepPath } from '../../domain/journeys/decision.js'
import { type JourneyOfRuns, pinKey } from '../../domain/journeys/definition.js'
import { missingSegment, type Rule } from '../../domain/rules/rule.js'
import { textOf } from '../../domain/local-text.js'
import { WHOLE } from '../../ports/job-queue.js'
import type { Touch } from '../../domain/touches/touch.js'
import { inShard } from '../../stored/buckets.js'
import type { Run } from '../../stored/journeys.js'
import { presentInstant } from '../../stored/runtime.js'
import type { LogFields } from '../../log.js'
import type { Update } from '../../ports/document-language.js'
import { messageOf } from '../../errors.js'
import { MINUTE_MS } from '../../time.js'
import { holdPublished } from '../definitions/follow-published.js'
import { type PinnedRead, readPinned } from '../definitions/read-pinned.js'
import { whyUnreadable } from '../definitions/read-published.js'
import type { Deps } from '../runtime/deps.js'
import { eachAlone } from '../runtime/each-alone.js'
import { testRules } from '../segments/test-rules.js'
import { takeBackTouches } from '../touches/take-back.js'

const BATCH = 500
/** A run that takes this many steps at one instant has no wait in it; it goes on at the next call. */
const MAX_STEPS = 50

/** A run that cannot be decided is tried again after this, perhaps by a process that can. */
const HOLD_MS = 10 * MINUTE_MS

type Moving = {
  run: Run
  /** Absent while this program cannot read the version that the run is on. */
  journey: JourneyOfRuns | undefined
  path: StepPath | undefined
  arrivedAt: Date
  rules?: boolean[] | undefined
  sleepUntil?: Date
  ended?: true
  held?: { stepId: string; reason: string }
  steps: number
}

/**
 * Moves every run that is due: decide, write down what the decision asks for under its key, save the position. A crash
 * between the two repeats the decision with the same result.
 */
export async function resumeRuns(deps: Deps, signal?: AbortSignal, shard = WHOLE): Promise<void> {
  while (signal?.aborted !== true) {
    const now = deps.clock.now()
    const due = await deps.docs.runs.find(
      { state: 'waiting', dueAt: { $lte: now }, ...inShard(shard) },
      { sort: { dueAt: 1, _id: 1 }, limit: BATCH, skipUnfit: true },
    )
    if (due.length === 0) return
    // After the runs are known: the versions they are on were published before.
    const held = await holdPublished(deps)
    if (held === undefined) return
    await eachAlone(
      due,
      (runs) => advance(held, runs, now),
      (run, err) => holdRun(held, run, err, now),
    )
  }
}

/** What keeps one from being decided keeps no other: it waits, and is tried again. */
async function holdRun({ docs, log }: Deps, run: Run, err: unknown, now: Date): Promise<void> {
  const reason = messageOf(err)
  const held = run.held?.reason === reason ? run.held : { reason, since: now }
  const where = { state: 'waiting', path: run.path, arrivedAt: run.arrivedAt } as const
  await docs.runs.update(run._id, { $set: { held, dueAt: new Date(now.getTime() + HOLD_MS) } }, where)
  if (run.held?.reason === reason) return
  const { journeyId, version, path: stepId } = run
  log.error('runs cannot go on here', { journeyId, version, stepId, cause: reason, runs: 1 })
}

async function advance(deps: Deps, runs: readonly Run[], now: Date): Promise<void> {
  const moving = runs.map((run): Moving => {
    const journey = deps.definitions.current.pinned.get(pinKey(run.journeyId, run.version))
    return { run, journey, path: run.path, arrivedAt: run.arrivedAt, steps: 0 }
  })
  await holdUnreadable(deps, moving)
  const isOpen = (m: Moving) => m.ended === undefined && m.sleepUntil === undefined && m.held === undefined
  const touches: Touch[] = []
  for (let open = moving.filter(isOpen); open.length > 0; open = open.filter(isOpen)) {
    const asking: Asking[] = []
    for (const m of open) {
      const decision = decideNext(deps, m, now)
      if (decision.kind === 'ask') asking.push({ moving: m, rules: decision.rules })
      else touches.push(...carryOut(deps, m, decision, now))
    }
    await answer(deps, asking)
  }
  if (touches.length > 0) await deps.docs.touches.insert(touches)
  await deps.docs.runs.updateEach(
    moving.map((m) => ({
      id: m.run._id,
      // Where it was when it was read: one that somebody else has moved since is left where it is, by the late too.
      where: { state: 'waiting', path: m.run.path, arrivedAt: m.run.arrivedAt, dueAt: m.run.dueAt },
      update: updateOf(deps, m, now),
    })),
  )
  reportHeld(deps, moving)
  await followRuns(deps, touches, now)
  if (touches.length > 0) await deps.jobs.add('release-touches', undefined, { key: 'release-touches' })
}

function decideNext(deps: Deps, m: Moving, now: Date): Decision {
  if (m.path === undefined || m.journey === undefined) return { kind: 'end' }
  const facts = { now, timeZone: deps.brand.timeZone, ...(m.rules === undefined ? {} : { rules: m.rules }) }
  return decide(m.journey, { path: m.path, arrivedAt: m.arrivedAt }, facts)
}

function updateOf({ definitions }: Deps, m: Moving, now: Date): Update<Run> {
  const by = { definitions: definitions.current.version }
  const $unset = {
    ...(m.ended === true && { dueAt: 1 as const }),
    ...(m.held === undefined && m.run.held !== undefined && { held: 1 as const }),
  }
  const path = m.path ?? m.run.path
  if (m.ended === true) return { $set: { ...by, state: 'ended', outcome: 'finished', endedAt: now, path }, $unset }
  const dueAt = m.held === undefined ? (m.sleepUntil ?? now) : new Date(now.getTime() + HOLD_MS)
  const held = m.held !== undefined && { held: heldOf(m, m.held.reason, now) }
  return {
    $set: { ...by, path, arrivedAt: m.arrivedAt, dueAt, ...held },
    ...(Object.keys($unset).length > 0 && { $unset }),
  }
}

function heldOf({ run }: Moving, reason: string, now: Date): Run['held'] {
  return run.held?.reason === reason ? run.held : { reason, since: now }
}

/** Runs on a version that is not there, or that only a newer version of this program can read. */
async function holdUnreadable(deps: Deps, moving: readonly Moving[]): Promise<void> {
  const reasons = new Map<string, string>()
  for (const m of moving) {
    if (m.journey !== undefined) continue
    const { journeyId, version, path } = m.run
    const key = pinKey(journeyId, version)
    const reason = reasons.get(key) ?? (await whyUnreadable(deps, journeyId, version))
    reasons.set(key, reason)
    m.held = { stepId: path, reason }
  }
}

/** One line for all that stop at the same place for the same reason; a run that is tried again is not new. */
function reportHeld(deps: Deps, moving: readonly Moving[]): void {
  const groups = new Map<string, { fields: LogFields; runs: number }>()
  for (const { run, held } of moving) {
    if (held === undefined || run.held?.reason === held.reason) continue
    const fields = { journeyId: run.journeyId, version: run.version, stepId: held.stepId, cause: held.reason }
    const key = JSON.stringify(fields)
    groups.set(key, { fields, runs: (groups.get(key)?.runs ?? 0) + 1 })
  }
  for (const { fields, runs } of groups.values()) deps.log.error('runs cannot go on here', { ...fields, runs })
}

/** A run may have ended, or gone to the profile that its own was merged into, while it was moved: its new touches follow. */
async function followRuns({ docs }: Deps, planned: readonly Touch[], now: Date): Promise<void> {
  const runs = new Map((await docs.runs.getMany([...new Set(planned.map((t) => t.runId))])).map((r) => [r._id, r]))
  for (const run of runs.values())
    if (run.state === 'ended' && run.outcome !== 'finished')
      await takeBackTouches(docs, { runId: run._id }, 'exited', now)
  await docs.touches.updateEach(
    planned.flatMap(({ _id, profileId, runId }) => {
      const owner = runs.get(runId)?.profileId
      return owner === undefined || owner === profileId ? [] : [{ id: _id, update: { $set: { profileId: owner } } }]
    }),
  )
}

/** Applies a decision to the position in memory; resolves to the touches it wants. */
function carryOut(deps: Deps, m: Moving, decision: Exclude<Decision, { kind: 'ask' }>, now: Date): Touch[] {
  const moveTo = (path: StepPath | undefined) => {
    m.path = path
    m.arrivedAt = now
    m.rules = undefined
    if (++m.steps >= MAX_STEPS) m.sleepUntil = now
    if (path === undefined) m.ended = true
  }
  switch (decision.kind) {
    case 'sleep':
      m.sleepUntil = decision.until
      return []
    case 'end':
      m.ended = true
      return []
    case 'hold':
      m.held = { stepId: decision.stepId, reason: decision.reason }
      return []
    case 'goto': {
      const branched = m.rules !== undefined
      moveTo(decision.path)
      // Saved before the arm is walked: a repeat after a crash must not choose again on other facts.
      if (branched && m.ended === undefined) m.sleepUntil = now
      return []
    }
    case 'send':
    case 'task': {
      const common = {
        _id: `${m.run._id}/${decision.stepId}`,
        profileId: m.run.profileId,
        journeyId: m.run.journeyId,
        runId: m.run._id,
        stepId: decision.stepId,
        state: 'planned' as const,
        plannedAt: now,
        releaseAt: now,
        ...(m.run.pins?.contents !== undefined && { contentsVersion: m.run.pins.contents }),
      }
      moveTo(decision.then)
      if (decision.kind === 'send') return [{ ...common, channel: decision.channel, contentId: decision.contentId }]
      const { task } = decision.step
      return [
        {
          ...common,
          channel: TASK_CHANNEL,
          contentId: task.script,
          title: textOf(task.title, deps.brand.locale),
          dueAt: new Date(now.getTime() + task.due),
        },
      ]
    }
  }
}

type Asking = { moving: Moving; rules: readonly Rule[] }

/** Evaluates the branch rules of runs that stand at the same step together, with the segments they stay on: one query a step. */
async function answer(deps: Deps, asking: readonly Asking[]): Promise<void> {
  if (asking.length === 0) return
  const now = await presentInstant(deps.docs.meta, deps.clock)
  const groups = new Map<string, Asking[]>()
  for (const a of asking) {
    const { journeyId, version, pins } = a.moving.run
    const key = `${pinKey(journeyId, version)} ${a.moving.path} ${pins?.segments}`
    groups.set(key, [...(groups.get(key) ?? []), a])
  }
  for (const group of groups.values()) {
    const { rules, moving: first } = group[0]!
    const segments = await segmentsFor(deps, first.run, rules)
    if ('unreadable' in segments) {
      for (const { moving } of group) moving.held = { stepId: first.path!, reason: segments.unreadable }
      continue
    }
    const values = await testRules(
      deps,
      rules,
      group.map((a) => a.moving.run.profileId),
      now,
      segments.value,
    )
    for (const { moving } of group) moving.rules = values.get(moving.run.profileId) ?? rules.map(() => false)
  }
}

/** What a run stays on. One of version 0.1 has the segments of today, and one that it still asks may be gone. */
async function segmentsFor(deps: Deps, { pins }: Run, rules: readonly Rule[]): Promise<PinnedRead<'segments'>> {
  const segments = await readPinned(deps, 'segments', pins?.segments)
  if ('unreadable' in segments) return segments
  const missing = rules.map((rule) => missingSegment(rule, segments.value)).find((id) => id !== undefined)
  return missing === undefined ? segments : { unreadable: `there is no segment "${missing}"` }
}
