import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { acceptCard } from '../../src/services/wecom/accept-callbacks.js'
import { HOUR_MS } from '../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type Definitions,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../support/build-deps.js'
import { sized } from '../support/sized.js'

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

const DEFINITIONS: Definitions = {
  tags: [
    { id: 'buyer', type: 'flag', when: { event: 'order_paid' } },
    { id: 'met', type: 'flag', when: { event: 'touch_delivered' } },
  ],
  journeys: [
    {
      id: 'welcome',
      enter: { on: 'registered' },
      exit: { on: 'order_paid' },
      steps: [
        { send: { channel: 'wecom', content: 'hello' } },
        { wait: '1d' },
        {
          branch: [
            { if: { tag: 'buyer' }, do: [{ exit: true }] },
            {
              else: [
                { send: { channel: 'coupon', content: 'gift' } },
                { task: { title: 'call', script: 'talk', due: '1d' } },
              ],
            },
          ],
        },
      ],
    },
    {
      id: 'again',
      enter: { when: { tag: 'met' } },
      holdout: '50%',
      steps: [{ wait: '2h' }, { task: { title: 'ask', script: 'talk', due: '1d' } }],
    },
  ],
  contents: [
    { id: 'hello', text: '{{ brand }}' },
    { id: 'gift', text: '{{ coupon }}', coupon: 'pool' },
    { id: 'talk', text: 'talk' },
  ],
  coupons: [{ id: 'pool', generate: { prefix: 'P', count: 2 } }],
  policy: { caps: [{ max: 3, per: '7d' }], tasksPerGuidePerMinute: 2 },
}

/** In CI every second write is the last one; the long form takes them all. */
const STRIDE = sized(2, 1)

type Action = (world: World) => Promise<unknown>
const runAt =
  (hours: number): Action =>
  (w) =>
    w.until(hoursIn(hours))

/** Stories in steps; each step may be done again from its start, as after a crash. */
const STORIES: Record<string, Action[]> = {
  'people register and merge at night, with planned touches': [
    runAt(12), // 22:00: quiet hours, touches wait
    (w) => w.accept('a', contactRecord('m1', hoursIn(12)), eventRecord('m1', 'registered', hoursIn(12))),
    (w) => w.run(),
    (w) =>
      w.accept('b', {
        observedAt: hoursIn(12),
        identifiers: [{ type: 'unionid', value: 'u1' }],
        events: [{ id: 'registered:u1', name: 'registered', occurredAt: hoursIn(12) }],
      }),
    (w) => w.run(),
    (w) =>
      w.accept('c', {
        observedAt: hoursIn(12.5),
        identifiers: [
          { type: 'unionid', value: 'u1' },
          { type: 'member_id', value: 'm1' },
        ],
        traits: { city: '上海' },
      }),
    runAt(24.5),
  ],
  'messages go out, are confirmed, and somebody buys': [
    (w) =>
      w.accept(
        'a',
        ...['m1', 'm2', 'm3'].flatMap((m) => [contactRecord(m, START), eventRecord(m, 'registered', START)]),
      ),
    async (w) => {
      w.wecom.result = (d, now) => ({
        confirmedAt: hoursIn(1),
        final: now >= hoursIn(4),
        recipients: d.recipients.map((r) => ({
          to: r.to,
          state: now >= hoursIn(4) ? 'delivered' : 'waiting',
          at: hoursIn(1),
        })),
      })
      await w.run()
    },
    runAt(2),
    (w) => w.accept('b', eventRecord('m2', 'order_paid', hoursIn(2), { amountMinor: 100 })),
    runAt(6),
    runAt(8),
  ],
  'tasks are merged, handed out and closed by a card': [
    (w) =>
      w.accept(
        'a',
        ...['m1', 'm2', 'm3'].flatMap((m) => [contactRecord(m, START), eventRecord(m, 'registered', START)]),
      ),
    runAt(24.5),
    async (w) => {
      const [task] = await w.docs.tasks.find({ state: 'open' }, { sort: { _id: 1 }, limit: 1 })
      if (task === undefined) return // done already, before a crash
      await acceptCard(w.deps, 'press', {
        kind: 'card',
        taskId: task._id,
        key: 'stop',
        userId: task.guideUserId,
        responseCode: 'code',
        selected: {},
        at: w.clock.now(),
      })
    },
    runAt(25),
    runAt(50),
  ],
}

describe('a process that dies at any write and starts again', () => {
  it.each(Object.entries(STORIES))('leaves what an undisturbed one leaves: %s', async (_name, story) => {
    const undisturbed = await live(story, undefined)
    expect(undisturbed.state['touches']!.length).toBeGreaterThan(0)
    expect(undisturbed.writes).toBeGreaterThan(20)
    const bad: string[] = []
    for (let k = 1; k <= undisturbed.writes; k += STRIDE) {
      const { state, crash } = await live(story, k)
      expect(crash).toContain(`crash at write ${k}:`)
      const differing = Object.keys(state).filter(
        (key) => JSON.stringify(state[key]) !== JSON.stringify(undisturbed.state[key]),
      )
      if (differing.length > 0) bad.push(crash + ' ' + differing.join())
    }
    expect(bad).toEqual([])
  })
})

async function live(story: readonly Action[], failAt: number | undefined) {
  const world = await buildWorld(home, { at: START, definitions: DEFINITIONS })
  world.faults.failAt = failAt
  let crash = ''
  for (const action of story) {
    try {
      await action(world)
    } catch (err) {
      if (!(err instanceof Error) || !err.message.startsWith('crash at write')) throw err
      crash = err.message
      await action(world)
    }
  }
  const state = await stateOf(world)
  await world.close()
  return { state, crash, writes: world.faults.writes }
}

/** Everything stored that means something; numbers that only have to grow are left out. */
async function stateOf(world: World): Promise<Record<string, unknown[]>> {
  const state: Record<string, unknown[]> = {}
  for (const [name, collection] of Object.entries(world.docs)) {
    if (name === 'meta' || name === 'published') continue
    const docs: object[] = []
    for await (const batch of collection.scan({})) docs.push(...batch)
    state[name] = docs.map((doc) => ({ ...doc, seq: undefined }))
  }
  const Row = z.record(z.string(), z.unknown())
  for (const [table, columns] of Object.entries({
    events: 'profile_id, name, occurred_at, event_id, source, amount_minor, properties, unit, known_at',
    profiles: 'profile_id, anchor, traits, identifier_types, created_at, merged_into',
    tag_changes: 'tag_id, profile_id, changed_at, old_value, new_value, cause',
    tag_state: 'profile_id, tag_id, value, since',
    trait_changes: 'profile_id, unit, trait, said, value, source, observed_at, ref, won, known_at',
    consent_changes: 'profile_id, unit, said, value, source, observed_at, ref, won, known_at',
    identity_changes: 'unit, type, profile_id, known_at',
  })) {
    const final = table === 'profiles' || table === 'tag_state' ? 'FINAL' : ''
    state[table] = await world.query(`SELECT ${columns} FROM ${table} ${final} ORDER BY ${columns}`, Row)
  }
  state['sent'] = [...world.wecom.sent, ...world.task.sent]
  return state
}
