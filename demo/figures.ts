import { z } from 'zod'
import type { Sandbox } from '../sandbox/sandbox.js'
import type { SourceReport } from '../connectors/csv/report.js'
import { eventsTable, profilesTable, tagChangesTable } from '../src/domain/events/tables.js'
import { computePairwise } from '../src/domain/identity/evaluate.js'
import { computeEffect } from '../src/domain/measures/newcombe.js'
import { findSumProblems } from './check-sums.js'
import type { DemoReport, JourneyFigures } from './demo-report.js'
import { literal } from '../src/domain/rules/sql.js'
import { STAGE_TAG } from '../src/domain/rules/clauses/stage.js'
import { isQuiet, type Policy } from '../src/domain/touches/policy.js'
import type { Touch } from '../src/domain/touches/touch.js'
import type { ServiceDeps } from '../src/services/runtime/deps.js'
import { countHolders } from '../src/services/tags/tag-holders.js'

export type FiguresInput = {
  deps: ServiceDeps
  sandbox: Sandbox
  source: SourceReport
  /** Record or contact id → person, from the sample's own truth. */
  truth: ReadonlyMap<string, string>
  seed: number
  days: number
  from: Date
  to: Date
}

/** Every figure of the report, from the stores and the sandbox's own log. */
export async function collectFigures(input: FiguresInput): Promise<DemoReport> {
  const { deps, source, seed, days, from, to } = input
  const touches: Touch[] = []
  for await (const batch of deps.docs.touches.scan({})) touches.push(...batch)
  const profiles = await aliveProfiles(deps)
  const report: DemoReport = {
    seed,
    days,
    from: from.toISOString(),
    to: to.toISOString(),
    source,
    identity: await identityFigures(input),
    tags: await tagFigures(deps, profiles),
    stages: await stageFigures(deps, from, profiles),
    journeys: await journeyFigures(deps, touches),
    touches: {
      planned: touches.length,
      byState: countBy(touches, (t) => t.state),
      byChannel: countBy(touches, (t) => t.channel),
      byReason: countBy(
        touches.filter((t) => t.state === 'suppressed'),
        (t) => t.reason ?? '(none)',
      ),
    },
    tasks: await taskFigures(deps),
    sandbox: checkSandbox(input.sandbox, touches, deps.definitions.current.policy, deps.brand.timeZone),
  }
  const problems = findSumProblems(report)
  if (problems.length > 0) throw new Error(`figures of one report disagree: ${problems.join('; ')}`)
  return report
}

const ALIVE = `profile_id IN (SELECT profile_id FROM ${profilesTable.name} FINAL WHERE merged_into = 0)`
/** Events with the profile they count for today. */
const OWNED = `(SELECT if(m.merged_into = 0, profile_id, m.merged_into) AS p, name, toUnixTimestamp64Milli(occurred_at) AS ms, event_id, properties
  FROM ${eventsTable.name} LEFT ANY JOIN (SELECT profile_id, merged_into FROM ${profilesTable.name} FINAL WHERE merged_into != 0) AS m USING (profile_id))`
const SETTINGS = 'SETTINGS enable_analyzer = 0'

async function identityFigures({ deps, truth }: FiguresInput): Promise<DemoReport['identity']> {
  const clusters = new Map<string, number>()
  const rows = await deps.events.query(
    `SELECT p, JSONExtractString(properties, 'recordId') AS id FROM ${OWNED} WHERE name = 'registered' ${SETTINGS}`,
    z.object({ p: z.number(), id: z.string() }),
    'scan',
  )
  for (const { p, id } of rows) if (truth.has(id)) clusters.set(id, p)
  for await (const batch of deps.docs.identifiers.scan({ type: 'external_userid' })) {
    for (const link of batch) if (truth.has(link.value)) clusters.set(link.value, link.profileId)
  }
  const seen = new Map([...truth].filter(([id]) => clusters.has(id)))
  return {
    records: clusters.size,
    profiles: await deps.docs.profiles.count({ mergedInto: { $exists: false } }),
    merges: await deps.docs.merges.count({}),
    conflicts: await deps.docs.conflicts.count({}),
    ...computePairwise(clusters, seen),
  }
}

/** As the event store has them; the documents count theirs in `identityFigures`. */
async function aliveProfiles(deps: ServiceDeps): Promise<number> {
  const [all] = await deps.events.query(
    `SELECT count() AS n FROM ${profilesTable.name} FINAL WHERE merged_into = 0`,
    z.object({ n: z.number() }),
  )
  return all?.n ?? 0
}

async function tagFigures(deps: ServiceDeps, profiles: number): Promise<DemoReport['tags']> {
  const counted = await countHolders(deps)
  return Object.fromEntries(
    deps.definitions.current.tags.map(({ id }) => {
      const n = counted.get(id) ?? 0
      return [id, { profiles: n, coverage: profiles === 0 ? 0 : n / profiles }]
    }),
  )
}

/** @param profiles - all there are: whoever never had a stage is `(none)` */
async function stageFigures(deps: ServiceDeps, from: Date, profiles: number): Promise<DemoReport['stages']> {
  const rows = await deps.events.query(
    `SELECT before, after, count() AS n FROM (
       SELECT profile_id,
         argMaxIf(new_value, version, changed_at <= fromUnixTimestamp64Milli(${from.getTime()}, 'UTC')) AS before,
         argMax(new_value, version) AS after
       FROM ${tagChangesTable.name} WHERE tag_id = ${literal(STAGE_TAG)} AND ${ALIVE} GROUP BY profile_id
     ) GROUP BY before, after ORDER BY before, after ${SETTINGS}`,
    z.object({ before: z.string(), after: z.string(), n: z.number() }),
    'scan',
  )
  const never = profiles - rows.reduce((sum, r) => sum + r.n, 0)
  if (never !== 0) rows.push({ before: '', after: '', n: never })
  const name = (stage: string) => (stage === '' ? '(none)' : stage)
  const matrix: Record<string, Record<string, number>> = {}
  const atStart: Record<string, number> = {}
  const atEnd: Record<string, number> = {}
  for (const { before, after, n } of rows) {
    const row = (matrix[name(before)] ??= {})
    row[name(after)] = (row[name(after)] ?? 0) + n
    atStart[name(before)] = (atStart[name(before)] ?? 0) + n
    atEnd[name(after)] = (atEnd[name(after)] ?? 0) + n
  }
  const stages = deps.definitions.current.tags.find((t) => t.id === STAGE_TAG)
  const order = stages?.type === 'choice' ? stages.cases.map((c) => c.value).reverse() : []
  return { order: ['(none)', ...order], atStart, atEnd, matrix }
}

async function journeyFigures(deps: ServiceDeps, touches: readonly Touch[]): Promise<DemoReport['journeys']> {
  const figures: Record<string, JourneyFigures> = {}
  for (const [journeyId, { journey }] of deps.definitions.current.journeys) {
    const mine = touches.filter((t) => t.journeyId === journeyId)
    // People, by their first entry. Who was in both arms, found to be one person since, can be compared with nobody.
    const arms = await deps.events.query(
      `SELECT arm, count() AS n, countIf(bought) AS x FROM (
         SELECT e.p AS p, e.arm AS arm, max(g.ms > e.ms AND g.ms <= e.ms + ${journey.goal.within}) AS bought
         FROM (SELECT p, if(uniqExact(arm) > 1, 'both', any(arm)) AS arm, min(ms) AS ms FROM (
                 SELECT p, JSONExtractString(properties, 'arm') AS arm, ms FROM ${OWNED}
                 WHERE name = 'journey_entered' AND JSONExtractString(properties, 'journeyId') = ${literal(journeyId)}
               ) GROUP BY p) AS e
         LEFT JOIN (SELECT p, ms FROM ${OWNED} WHERE name = ${literal(journey.goal.event)}) AS g ON e.p = g.p
         GROUP BY p, arm
       ) GROUP BY arm ${SETTINGS}`,
      z.object({ arm: z.string(), n: z.number(), x: z.number() }),
      'scan',
    )
    const arm = (name: string) => arms.find((a) => a.arm === name) ?? { n: 0, x: 0 }
    const [treated, holdout] = [arm('treated'), arm('holdout')]
    figures[journeyId] = {
      entered: treated.n + holdout.n,
      heldOut: holdout.n,
      changedArms: arm('both').n,
      planned: mine.length,
      created: mine.filter((t) => t.dispatchId !== undefined).length,
      confirmed: mine.filter((t) => t.confirmedAt !== undefined).length,
      delivered: mine.filter((t) => t.state === 'delivered').length,
      suppressed: countBy(
        mine.filter((t) => t.state === 'suppressed'),
        (t) => t.reason ?? '(none)',
      ),
      bought: treated.x + holdout.x,
      boughtHeldOut: holdout.x,
      effect: computeEffect({ treated: { n: treated.n, x: treated.x }, holdout: { n: holdout.n, x: holdout.x } }),
    }
  }
  return figures
}

async function taskFigures(deps: ServiceDeps): Promise<DemoReport['tasks']> {
  const byGuide: DemoReport['tasks'] = {}
  for await (const batch of deps.docs.tasks.scan({})) {
    for (const task of batch) {
      const counts = (byGuide[task.guideUserId] ??= { open: 0, done: 0, interested: 0, expired: 0 })
      counts[task.state]++
      if (task.outcome === 'interested') counts.interested++
    }
  }
  return byGuide
}

/**
 * The sandbox's log against the ledger, by means of its own: links name their dispatch, times are the platform's.
 * Caps count the time a message was handed over; a guide who confirms late is not the ledger's breach.
 */
export function checkSandbox(
  sandbox: Pick<Sandbox, 'log' | 'counts'>,
  touches: readonly Touch[],
  policy: Policy,
  timeZone: string,
): DemoReport['sandbox'] {
  const ledger = new Map(touches.map((t) => [`${t.dispatchId} ${t.externalUserId}`, t]))
  const arrived = new Map<string, number>()
  const handedOver = new Map<number, number[]>()
  // A welcome answers somebody who has just come, at any hour, once by its code: it is no touch of a journey.
  const log = sandbox.log().filter((message) => message.kind === 'mass')
  let withoutTouch = 0
  let inQuietHours = 0
  for (const message of log) {
    const dispatchId = message.link === undefined ? undefined : new URL(message.link.url).searchParams.get('m')
    const key = `${dispatchId} ${message.externalUserId}`
    arrived.set(key, (arrived.get(key) ?? 0) + 1)
    const touch = ledger.get(key)
    if (touch === undefined) withoutTouch++
    else handedOver.set(touch.profileId, [...(handedOver.get(touch.profileId) ?? []), message.createdAt.getTime()])
    if (isQuiet(policy, message.createdAt, timeZone) || isQuiet(policy, message.sentAt, timeZone)) inQuietHours++
  }
  let overCap = 0
  for (const times of handedOver.values()) {
    for (const at of times) {
      if (policy.caps.some((cap) => times.filter((t) => t > at - cap.per && t <= at).length > cap.max)) overCap++
    }
  }
  const counts = sandbox.counts()
  return {
    messages: log.length,
    doubled: [...arrived.values()].reduce((sum, n) => sum + n - 1, 0),
    withoutTouch,
    overCap,
    inQuietHours,
    refusedByQuota: counts.refusedByQuota,
    reads: counts.reads,
    replies: Object.values(counts.repliesByKind).reduce((a, b) => a + b, 0),
  }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1
  return counts
}
