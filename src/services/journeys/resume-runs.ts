import { decide, type Decision } from '../../domain/journeys/decide.js'
import { type Journey, pinKey, type StepPath } from '../../domain/journeys/definition.js'
import type { Rule } from '../../domain/rules/rule.js'
import { textOf } from '../../domain/tags/definition.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { Run } from '../../stored/journeys.js'
import type { Deps } from '../runtime/deps.js'
import { testRules } from '../segments/test-rules.js'

const BATCH = 500
/** A run that takes this many steps at one instant has no wait in it; it goes on at the next call. */
const MAX_STEPS = 50

type Moving = {
  run: Run
  journey: Journey
  path: StepPath | undefined
  arrivedAt: Date
  rules?: boolean[] | undefined
  sleepUntil?: Date
  ended?: true
  steps: number
}

/**
 * Moves every run that is due: decide, write down what the decision asks for under its key, save the position. A crash
 * between the two repeats the decision with the same result.
 */
export async function resumeRuns(deps: Deps, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true) {
    const now = deps.clock.now()
    const due = await deps.docs.runs.find(
      { state: 'waiting', dueAt: { $lte: now } },
      { sort: { dueAt: 1, _id: 1 }, limit: BATCH },
    )
    if (due.length === 0) return
    await advance(deps, due, now)
  }
}

async function advance(deps: Deps, runs: readonly Run[], now: Date): Promise<void> {
  const moving = runs.map((run): Moving => {
    const journey = deps.definitions.current.pinned.get(pinKey(run.journeyId, run.version))
    if (journey === undefined)
      throw new RangeError(`run ${run._id} is on version ${run.version} of ${run.journeyId}, which is not stored`)
    return { run, journey, path: run.path, arrivedAt: run.arrivedAt, steps: 0 }
  })
  const touches: Touch[] = []
  for (
    let open = moving;
    open.length > 0;
    open = open.filter((m) => m.ended === undefined && m.sleepUntil === undefined)
  ) {
    const asking: { moving: Moving; rules: readonly Rule[] }[] = []
    for (const m of open) {
      const decision =
        m.path === undefined
          ? ({ kind: 'end' } as const)
          : decide(
              m.journey,
              { path: m.path, arrivedAt: m.arrivedAt },
              { now, timeZone: deps.brand.timeZone, ...(m.rules === undefined ? {} : { rules: m.rules }) },
            )
      if (decision.kind === 'ask') asking.push({ moving: m, rules: decision.rules })
      else touches.push(...carryOut(deps, m, decision, now))
    }
    await answer(deps, asking, now)
  }
  if (touches.length > 0) await deps.docs.touches.insert(touches)
  await deps.docs.runs.updateEach(
    moving.map((m) => ({
      id: m.run._id,
      // Where it was when it was read: whoever is late moves nobody back.
      where: { state: 'waiting', path: m.run.path, arrivedAt: m.run.arrivedAt, dueAt: m.run.dueAt },
      update:
        m.ended === true
          ? {
              $set: { state: 'ended', outcome: 'finished', endedAt: now, path: m.path ?? m.run.path },
              $unset: { dueAt: 1 },
            }
          : { $set: { path: m.path!, arrivedAt: m.arrivedAt, dueAt: m.sleepUntil ?? now } },
    })),
  )
  if (touches.length > 0) await deps.jobs.add('release-touches', undefined, { key: 'release-touches' })
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
      }
      moveTo(decision.then)
      if (decision.kind === 'send') return [{ ...common, channel: decision.channel, contentId: decision.contentId }]
      const { task } = decision.step
      return [
        {
          ...common,
          channel: 'task',
          contentId: task.script,
          title: textOf(task.title, deps.brand.locale),
          dueAt: new Date(now.getTime() + task.due),
        },
      ]
    }
  }
}

/** Evaluates the branch rules of runs that stand at the same step together: one query a step. */
async function answer(
  deps: Deps,
  asking: readonly { moving: Moving; rules: readonly Rule[] }[],
  now: Date,
): Promise<void> {
  const groups = new Map<string, (typeof asking)[number][]>()
  for (const a of asking) {
    const key = `${pinKey(a.moving.run.journeyId, a.moving.run.version)} ${a.moving.path}`
    groups.set(key, [...(groups.get(key) ?? []), a])
  }
  for (const group of groups.values()) {
    const rules = group[0]!.rules
    const values = await testRules(
      deps,
      rules,
      group.map((a) => a.moving.run.profileId),
      now,
    )
    for (const { moving } of group) moving.rules = values.get(moving.run.profileId) ?? rules.map(() => false)
  }
}
