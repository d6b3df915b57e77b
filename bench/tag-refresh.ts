import { join } from 'node:path'
import { z } from 'zod'
import { eventsTable, profilesTable, tagChangesTable, tagStateTable } from '../src/domain/events/tables.js'
import { compileDeltas, type Evaluable } from '../src/domain/rules/compile.js'
import type { Deps } from '../src/services/runtime/deps.js'
import { refreshNow } from '../src/services/tags/refresh-profiles.js'
import { DAY_MS, ManualClock } from '../src/time.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'
import { openStand } from './stand.js'
import { atOnce } from '../src/services/runtime/with-lease.js'

const START = new Date('2026-06-01T18:00:00Z')

type Size = { profiles: number; events: number }
const PLANS: Record<Scale, { nightly: Size; first: Size }> = {
  full: { nightly: { profiles: 100_000, events: 1_000_000 }, first: { profiles: 10_000, events: 100_000 } },
  quick: { nightly: { profiles: 10_000, events: 100_000 }, first: { profiles: 1_000, events: 10_000 } },
  tiny: { nightly: { profiles: 100, events: 1_000 }, first: { profiles: 50, events: 500 } },
}

/** Every shipped tag for everyone: found in one pass over the events, differences written. */
export const tagRefresh: Benchmark = {
  name: 'tag-refresh',
  title: { zh: '全量标签刷新', en: 'Refreshing all tags' },
  unit: { zh: '档案', en: 'profile' },
  baseline: 'one flag for everyone by hand: one countIf per profile over the same events; nothing is written',
  run: runTagRefresh,
}

async function runTagRefresh({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const { nightly, first } = PLANS[scale]
  const results: CaseResult[] = []
  for (const [name, size] of [
    ['first time', first],
    ['a night later', nightly],
  ] as const) {
    const clock = new ManualClock(START)
    // A process holds one chDB directory at a time.
    const app = await openStand(join(dir, name.replaceAll(' ', '-')), clock)
    try {
      const { deps } = app
      note(`${name}: making ${size.events} events`)
      await fill(deps, size)
      const evaluables = deps.definitions.current.evaluables.filter((e) => 'tag' in e)
      if (name === 'a night later') await takeStateAsStored(deps, evaluables, size.profiles)
      let deltas = 0
      results.push(
        await compare(
          {
            name,
            items: size.profiles,
            warmups: 1,
            rounds: 3,
            prepare: async () => {
              if (name === 'first time') await forgetState(deps)
              else clock.set(new Date(clock.now().getTime() + DAY_MS))
            },
            product: async (round) => {
              const ids = evaluables.map((e) => e.id)
              const request = { _id: `${name}:${round}`, kind: 'all', cause: 'operator', ids } as const
              deltas = (await refreshNow(deps, request, atOnce)).changes
            },
            baseline: async () => {
              const since = clock.now().getTime() - 365 * DAY_MS
              await deps.events.query(
                `SELECT countIf(n >= 5) AS holding FROM (
                  SELECT profile_id, countIf(name = 'order_paid' AND occurred_at > fromUnixTimestamp64Milli(${since}, 'UTC')) AS n
                  FROM ${eventsTable.name} GROUP BY profile_id)`,
                z.object({ holding: z.number() }),
                'scan',
              )
            },
            figures: () => Promise.resolve({ events: size.events, tags: evaluables.length, deltas }),
          },
          note,
        ),
      )
    } finally {
      await app.close()
    }
  }
  return results
}

/** People who differ in how much they do; a year of events, drawn by hashes in the engine. */
async function fill(deps: Deps, { profiles, events }: Size): Promise<void> {
  await deps.events
    .command(`INSERT INTO ${profilesTable.name} (profile_id, anchor, traits, identifier_types, created_at, merged_into, version)
    SELECT number + 1, concat('member_id:m', toString(number)), map('city', concat('city-', toString(cityHash64(number, 'city') % 40))),
      if(cityHash64(number, 'contact') % 3 = 0, ['external_userid', 'member_id', 'unionid'], ['member_id']),
      fromUnixTimestamp64Milli(${START.getTime() - 365 * DAY_MS}, 'UTC'), 0, 1
    FROM numbers(${profiles})`)
  await deps.events
    .command(`INSERT INTO ${eventsTable.name} (profile_id, name, occurred_at, event_id, source, amount_minor, properties, batch)
    WITH (cityHash64(number, 'who') % 1000003) / 1000003 AS u, cityHash64(number, 'name') % 100 AS draw,
      multiIf(draw < 60, 'product_viewed', draw < 70, 'link_clicked', draw < 80, 'added_to_cart', draw < 86, 'product_favourited',
        draw < 88, 'consulted', draw < 96, 'order_paid', draw < 98, 'order_cancelled', 'registered') AS kind
    SELECT 1 + toUInt64(floor(${profiles} * u * u)), kind,
      fromUnixTimestamp64Milli(toInt64(${START.getTime()} - cityHash64(number, 'when') % ${365 * DAY_MS}), 'UTC'),
      concat('bench:', toString(number)), 'bench',
      if(kind = 'order_paid', 500 + toInt64(cityHash64(number, 'amount') % 60000), 0),
      if(kind = 'order_paid', concat('{"country":"United Kingdom","quantity":', toString(1 + cityHash64(number, 'quantity') % 600), '}'), '{}'), 1
    FROM numbers(${events})`)
  await deps.docs.meta.updateEach([{ id: 'counter:profile', update: { $set: { value: profiles } }, upsert: true }])
}

const RANGE = 50_000

/** What the first refresh would have stored, written inside the engine; documents of unchanged tags are left out. */
async function takeStateAsStored(deps: Deps, evaluables: readonly Evaluable[], profiles: number): Promise<void> {
  const nowMs = deps.clock.now().getTime()
  const { segments, tags } = deps.definitions.current
  for (let from = 1; from <= profiles; from += RANGE) {
    const scope = { kind: 'all', fromProfileId: from, toProfileId: from + RANGE } as const
    await deps.events
      .command(`INSERT INTO ${tagChangesTable.name} (tag_id, profile_id, changed_at, old_value, new_value, cause, version)
      SELECT id, p, fromUnixTimestamp64Milli(${nowMs}, 'UTC'), old, new, 'operator', 1
      FROM (${compileDeltas(evaluables, { nowMs, scope, segments, tags })})
      SETTINGS enable_analyzer = 0`)
  }
}

async function forgetState({ events, docs }: Deps): Promise<void> {
  // eslint-disable-next-line no-restricted-syntax -- the stores are this benchmark's own, and nobody asks for their past
  for (const { name } of [tagChangesTable, tagStateTable]) await events.command(`TRUNCATE TABLE ${name}`)
  await docs.profileTags.delete({})
}
