import { acceptCard } from '../../src/services/wecom/accept-callbacks.js'
import { HOUR_MS } from '../../src/time.js'
import { contactRecord, type Definitions, eventRecord, type World } from './build-deps.js'

export const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
export const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

/** What the stories run on: every kind of step, a shared pool of coupons, caps. */
export const DEFINITIONS: Definitions = {
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

/** What a story needs of a world, or of one of two workers in it. */
export type Teller = Pick<World, 'deps' | 'docs' | 'clock' | 'wecom' | 'accept' | 'run' | 'until'>

export type Action = (world: Teller) => Promise<unknown>
const runAt =
  (hours: number): Action =>
  (w) =>
    w.until(hoursIn(hours))

/** Stories in steps; each step may be done again from its start, as after a crash, or by somebody else. */
export const STORIES: Record<string, Action[]> = {
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
      const [task] = await w.docs.tasks.find({ state: 'open' }, { sort: { profileId: 1 }, limit: 1 })
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

/** What the passing of time changes: a window, a tag with a time of its own, a journey that begins every day, one by rule. */
export const REFRESH_DEFINITIONS: Definitions = {
  tags: [
    { id: 'buyer', type: 'flag', when: { event: 'order_paid' } },
    { id: 'recent', type: 'flag', when: { event: 'order_paid', within: '12h' } },
    { id: 'often', type: 'flag', refresh: '0 15 * * *', when: { event: 'order_paid', count: { gte: 2 } } },
  ],
  journeys: [
    {
      id: 'daily',
      enter: { every: '30 15 * * *', when: { tag: 'often' } },
      // At once: were it begun twice, she would be let in twice.
      reenter: { after: '1s', max: 9 },
      steps: [{ task: { title: 'call', script: 'talk', due: '2h' } }],
    },
    { id: 'regular', enter: { when: { tag: 'often' } }, steps: [{ send: { channel: 'wecom', content: 'talk' } }] },
  ],
  contents: [{ id: 'talk', text: 'talk' }],
}

const order = (name: string, hours: number) => eventRecord(name, 'order_paid', hoursIn(hours), { amountMinor: 100 })

/** Schedules at 15:00 and 15:30, at 2:00 for windows, and records that come in around them. */
export const REFRESH_STORIES: Record<string, Action[]> = {
  'tags are refreshed beside ingest, and a journey begins every day': [
    (w) => w.accept('a', ...['m1', 'm2', 'm3'].flatMap((m) => [contactRecord(m, START), order(m, 0)])),
    runAt(4.99),
    (w) => w.accept('b', order('m1', 4.5), order('m2', 4.5)),
    runAt(5.2),
    (w) =>
      w.accept('c', order('m3', 5.1), {
        observedAt: hoursIn(5.1),
        identifiers: ['m1', 'm2'].map((value) => ({ type: 'member_id', value })),
      }),
    runAt(5.6),
    (w) => w.accept('d', contactRecord('m4', hoursIn(5.6)), order('m4', 5.6), order('m3', 5.6)),
    runAt(16.5),
  ],
}
