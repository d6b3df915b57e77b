import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { WHOLE } from '../../../src/ports/job-queue.js'
import { lanes } from '../../../src/services/runtime/lanes.js'
import { releaseTouches } from '../../../src/services/touches/release-touches.js'
import { switchSending } from '../../../src/services/touches/switch-sending.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { around, once } from '../../support/around.js'
import {
  buildWorld,
  contactRecord,
  type Definitions,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterEach(() => world.close())
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

const message = (id: string, event: string, content = 'hello') => ({
  id,
  enter: { on: event },
  reenter: { after: '0s', max: 50 },
  steps: [{ send: { channel: 'wecom', content } }],
})
const contents = [
  { id: 'hello', text: 'Hello from {{ brand }}', link: { title: 'Look', path: '/x?a=1' } },
  { id: 'other', text: 'Other' },
  { id: 'gift', text: 'Code {{ coupon }}', coupon: 'pool' },
  { id: 'talk', text: 'talk' },
]

async function start(definitions: Definitions, more: Partial<Parameters<typeof buildWorld>[1]> = {}): Promise<void> {
  world = await buildWorld(home, { at: START, definitions: { contents, ...definitions }, ...more })
}

/** Contacts of a guide who do something now; the journeys that begin with it run at once. */
async function happens(key: string, event: string, names: string[], guide = 'guide-1'): Promise<void> {
  const now = world.clock.now()
  await world.accept(key, ...names.flatMap((n) => [contactRecord(n, START, guide), eventRecord(n, event, now)]))
  await world.run()
}

const touches = async () =>
  (await world.docs.touches.find({})).map((t) => [t._id, t.state, ...(t.reason === undefined ? [] : [t.reason])])

describe('releasing mass messages', () => {
  it('sends everybody with the same words from the same guide in one call', async () => {
    await start({ journeys: [message('first', 'registered'), message('second', 'viewed', 'other')] })
    const now = world.clock.now()
    await world.accept(
      'a',
      ...['m1', 'm2'].map((m) => contactRecord(m, START, 'guide-1')),
      ...['m3'].map((m) => contactRecord(m, START, 'guide-2')),
      ...['m1', 'm2', 'm3'].map((m) => eventRecord(m, 'registered', now)),
      eventRecord('m1', 'viewed', now),
    )
    await world.run()
    const calls = world.wecom.sent.map((s) => [s.sender, s.content.text, s.recipients.map((r) => r.to).join()])
    expect(calls.sort()).toEqual([
      ['guide-1', 'Hello from Brand', 'wm-m1,wm-m2'],
      ['guide-1', 'Other', 'wm-m1'],
      ['guide-2', 'Hello from Brand', 'wm-m3'],
    ])
  })

  it('sends in as many calls as the channel needs for so many', async () => {
    await start({ journeys: [message('first', 'registered')] })
    Object.assign(world.wecom.limits, { recipients: 2 })
    await happens('a', 'registered', ['m1', 'm2', 'm3'])
    expect(world.wecom.sent.map((s) => s.recipients.map((r) => r.to).join()).sort()).toEqual(['wm-m1,wm-m2', 'wm-m3'])
    expect((await touches()).map(([, state]) => state)).toEqual(['created', 'created', 'created'])
  })

  it('sends all in one call where the channel has no limit', async () => {
    await start({ journeys: [message('first', 'registered')] })
    Object.assign(world.wecom.limits, { recipients: Infinity })
    await happens('a', 'registered', ['m1', 'm2', 'm3'])
    expect(world.wecom.sent.map((s) => s.recipients.length)).toEqual([3])
  })

  it('gives every send a link of its own, by which it can be found again', async () => {
    await start({ journeys: [message('first', 'registered')] })
    await happens('a', 'registered', ['m1'])
    const [sent] = world.wecom.sent
    expect(sent?.content.link).toEqual({ title: 'Look', url: `https://m.example.com/t/x?a=1&m=${sent?.id}` })
  })

  it('sends words without a link as words', async () => {
    await start({ journeys: [message('first', 'registered', 'other')] })
    await happens('a', 'registered', ['m1'])
    expect(world.wecom.sent.map((s) => s.content)).toEqual([{ text: 'Other' }])
  })

  it('sends the words alone for a brand without a site', async () => {
    await start({ journeys: [message('first', 'registered')] })
    delete world.deps.linkBase
    await happens('a', 'registered', ['m1'])
    expect(world.wecom.sent.map((s) => s.content)).toEqual([{ text: 'Hello from Brand' }])
  })

  it('holds the cap over all journeys, and the journey with priority wins the slot', async () => {
    await start({
      journeys: [message('aa-first', 'registered'), message('zz-dear', 'registered', 'other')],
      policy: { caps: [{ max: 1, per: '1d' }], priority: ['zz-dear', 'aa-first'] },
    })
    await happens('a', 'registered', ['m1'])
    expect(await touches()).toEqual([
      ['aa-first:1:0/0', 'planned', 'cap'],
      ['zz-dear:1:0/0', 'created'],
    ])
    await world.until(new Date(hoursIn(24).getTime() - 1))
    expect(world.wecom.sent).toHaveLength(1)
    await world.until(hoursIn(24))
    expect(await touches()).toEqual([
      ['aa-first:1:0/0', 'created'],
      ['zz-dear:1:0/0', 'created'],
    ])
  })

  it('puts off to the time of day when a cap of one a day has room, what was planned for ten the next day', async () => {
    const steps = [
      { send: { channel: 'wecom', content: 'hello' } },
      { wait: { until: '10:00', afterDays: 1 } },
      { send: { channel: 'wecom', content: 'other' } },
    ]
    const journeys = [{ id: 'two', enter: { on: 'registered' }, steps }]
    await start({ journeys, policy: { caps: [{ max: 1, per: '1d' }] } }, { at: '2026-03-02T03:30:00Z' }) // 11:30
    await happens('a', 'registered', ['m1'])
    await world.until('2026-03-03T02:00:00Z')
    expect((await touches()).map(([, ...state]) => state)).toEqual([['created'], ['planned', 'cap']])
    await world.until('2026-03-03T03:30:00Z')
    expect(world.wecom.sent.map((s) => s.content.text)).toEqual(['Hello from Brand', 'Other'])
  })

  it('opens the cap again exactly when its window has passed', async () => {
    await start({ journeys: [message('first', 'viewed')], policy: { caps: [{ max: 1, per: '2h' }] } })
    await happens('a', 'viewed', ['m1'])
    await world.until(new Date(hoursIn(2).getTime() - 1))
    await happens('b', 'viewed', ['m1'])
    await world.until(hoursIn(2))
    await happens('c', 'viewed', ['m1'])
    expect((await touches()).map(([, state]) => state)).toEqual(['created', 'created', 'planned'])
  })

  it('counts against the quota what was released and is not yet confirmed', async () => {
    await start({ journeys: [message('first', 'viewed')], policy: { wecomQuota: { mode: 'day_1' } } })
    await happens('a', 'viewed', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', 'viewed', ['m1'])
    await world.until(hoursIn(24))
    await happens('c', 'viewed', ['m1'])
    expect(await touches()).toEqual([
      ['first:1:0/0', 'created'],
      ['first:1:1/0', 'created'],
      ['first:1:2/0', 'planned', 'quota'],
    ])
  })

  it('waits for the end of quiet hours, to the second', async () => {
    await start({ journeys: [message('first', 'registered')] }, { at: '2026-03-02T13:00:00Z' }) // 21:00
    await happens('a', 'registered', ['m1'])
    expect(await touches()).toEqual([['first:1:0/0', 'planned']])
    await world.until('2026-03-03T00:59:59Z')
    expect(world.wecom.sent).toEqual([])
    await world.until('2026-03-03T03:00:00Z')
    expect(world.wecom.sent.map((s) => s.at)).toEqual([new Date('2026-03-03T01:00:00Z')])
  })

  it('asks nothing of the platform in quiet hours, even what it was told to try again then', async () => {
    await start({ journeys: [message('first', 'registered')] }, { at: '2026-03-02T12:59:00Z' }) // 20:59
    world.wecom.answer = () => ({ kind: 'later', afterMs: 5 * MINUTE_MS, reason: 'busy' })
    await happens('a', 'registered', ['m1'])
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await world.until('2026-03-03T00:59:59Z')
    expect(world.wecom.sent).toEqual([])
    await world.until('2026-03-03T01:00:00Z')
    expect(world.wecom.sent.map((s) => s.at)).toEqual([new Date('2026-03-03T01:00:00Z')])
  })

  it('writes to nobody who said stop, also when she said so while the message waited', async () => {
    await start({ journeys: [message('first', 'registered')] }, { at: '2026-03-02T13:00:00Z' })
    await happens('a', 'registered', ['m1', 'm2'])
    await happens('b', 'opted_out', ['m2'])
    await world.until('2026-03-03T02:00:00Z')
    expect(await touches()).toEqual([
      ['first:1:0/0', 'created'],
      ['first:2:0/0', 'suppressed', 'opted_out'],
    ])
  })

  it('writes to nobody who is no guide’s contact any more', async () => {
    await start({ journeys: [message('first', 'viewed')] })
    await happens('a', 'registered', ['m1'])
    const gone = { properties: { userId: 'guide-1', externalUserId: 'wm-m1' } }
    await world.accept(
      'b',
      eventRecord('m1', 'contact_deleted', hoursIn(0.5), gone),
      eventRecord('m1', 'viewed', START),
    )
    await world.run()
    expect(await touches()).toEqual([['first:1:0/0', 'suppressed', 'not_a_contact']])
  })

  it('holds everything back while the stop switch is on, and lets it out when it is off', async () => {
    await start({ journeys: [message('first', 'registered')] })
    await switchSending(world.docs, 'stop', world.clock.now())
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(3))
    expect(world.wecom.sent).toEqual([])
    expect(await touches()).toEqual([['first:1:0/0', 'planned']])
    await switchSending(world.docs, 'resume', world.clock.now())
    await world.run()
    expect(world.wecom.sent).toHaveLength(1)
  })

  it.each([
    ['off', 'sending_off'],
    ['dry', 'dry_mode'],
  ] as const)('in mode %s keeps the ledger and sends nothing', async (mode, reason) => {
    await start({ journeys: [message('first', 'registered')] }, { sending: { mode, allowList: ['m1'] } })
    await happens('a', 'registered', ['m1'])
    expect(await touches()).toEqual([['first:1:0/0', 'suppressed', reason]])
    expect(world.wecom.sent).toEqual([])
  })

  it('with an allow-list reaches those on it, by member or contact id, and nobody else', async () => {
    const sending = { mode: 'allow_list', allowList: ['m1', 'wm-m3'] } as const
    await start({ journeys: [message('first', 'registered')] }, { sending })
    await happens('a', 'registered', ['m1', 'm2', 'm3'])
    expect(world.wecom.sent.flatMap((s) => s.recipients.map((r) => r.to))).toEqual(['wm-m1', 'wm-m3'])
    expect(await touches()).toContainEqual(['first:2:0/0', 'suppressed', 'not_on_allow_list'])
  })
})

describe('guide tasks and coupons', () => {
  const task = (id: string, title: string, content = 'talk') => ({
    id,
    enter: { on: 'registered' },
    steps: [{ task: { title, script: content, due: '1d' } }],
  })
  const coupon = (id = 'gift') => ({
    id,
    enter: { on: 'registered' },
    steps: [{ send: { channel: 'coupon', content: 'gift' } }],
  })

  it('show a guide one task per customer, with every reason, and one card', async () => {
    await start({ journeys: [task('aa', 'Call'), task('bb', 'Ask')] })
    await happens('a', 'registered', ['m1'])
    const tasks = await world.docs.tasks.find({})
    expect(tasks.map((t) => [t.titles, t.touchIds.length, t.state])).toEqual([[['Call', 'Ask'], 2, 'open']])
    expect(world.task.sent).toHaveLength(1)
    expect((await touches()).map(([, state]) => state)).toEqual(['created', 'created'])
  })

  it('tell of one more reason on a new card, with what was on the old one, which is recalled', async () => {
    const journeys = [task('call', 'Call'), { ...coupon(), enter: { on: 'viewed' } }]
    await start({ journeys, coupons: [{ id: 'pool', codes: ['CODE1'] }] })
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', 'viewed', ['m1'])
    const [old, card] = world.task.sent
    expect(world.task.cancelled).toEqual([old?.id])
    expect(card?.recipients.map((r) => r.to)).toEqual(['guide-1'])
    expect(card?.content.card?.title).toBe('Call；Code CODE1')
    expect(card?.content.card?.rows).toContainEqual({ name: '券码', value: 'CODE1' })
    expect(card?.content.text).toBe('talk\nCode CODE1')
    const tasks = await world.docs.tasks.find({}, { sort: { createdAt: 1 } })
    expect(tasks.map((t) => [t.state, t.outcome, t.touchIds.length])).toEqual([
      ['expired', 'superseded', 1],
      ['open', undefined, 2],
    ])
    expect((await touches()).map(([, state]) => state)).toEqual(['created', 'created'])
  })

  it('stand on one card where a worker that was held still goes on with what another has handed out', async () => {
    await start({ journeys: [task('care', 'Call')] })
    const now = world.clock.now()
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', now))
    for (const name of ['process-batches', 'resume-runs'])
      await lanes.find((lane) => lane.name === name)!.run(world.deps, undefined, WHOLE)
    await releaseTouches(
      around(
        world.deps,
        'tasks',
        'find',
        once(() => world.run()),
      ),
    )
    await world.run()
    expect(world.task.sent).toHaveLength(1)
    expect(world.task.cancelled).toEqual([])
    expect((await world.docs.tasks.find({})).map((t) => [t.state, t.touchIds])).toEqual([['open', ['care:1:0/0']]])
  })

  it('hold back one more reason while the guide has had as many cards as she may, and codes for which there is no room', async () => {
    const gifts = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ ...coupon(`gift-${id}`), enter: { on: `event_${id}` } }))
    const codes = ['a', 'b', 'c', 'd', 'e'].map((id) => `CODE-${id}`)
    await start({ journeys: gifts, coupons: [{ id: 'pool', codes }], policy: { tasksPerGuidePerMinute: 1 } })
    await happens('a', 'event_a', ['m1'])
    await happens('b', 'event_b', ['m1'])
    expect(world.task.sent).toHaveLength(1)
    await world.until(hoursIn(0.1))
    expect(world.task.sent).toHaveLength(2)
    for (const id of ['c', 'd', 'e']) {
      await happens(id, `event_${id}`, ['m1'])
      await world.until(new Date(world.clock.now().getTime() + 2 * MINUTE_MS))
    }
    const rows = world.task.sent.at(-1)?.content.card?.rows.filter((row) => row.name === '券码')
    expect(rows?.map((row) => row.value)).toEqual(['CODE-a', 'CODE-b', 'CODE-c', 'CODE-d'])
    expect((await touches()).at(-1)).toEqual(['gift-e:1:0/0', 'planned'])
  })

  it('say why in the words of the journey, and name her as her guide does', async () => {
    const named = { ...task('call', 'Call'), name: '老客回访' }
    await start({ journeys: [named] })
    const contact = { name: '昵称' }
    const follow = { addedAt: new Date(START), mobiles: [], tagIds: [], remark: '王姐 肤质敏感' }
    await world.docs.wecomRelations.put([
      {
        ...{ _id: 'guide-1/wm-m1', userId: 'guide-1', externalUserId: 'wm-m1', contact, follow },
        ...{ state: 'active', hash: '', revision: 1, readAt: new Date(START) },
      },
    ])
    const says = (source: string, name: string, hours: number) => ({
      ...{ source, observedAt: hoursIn(hours), traits: { name } },
      identifiers: [{ type: 'member_id', value: 'm2' }],
    })
    await world.accept('names', says('aa', '旧名', -2), says('zz', '新名', -1))
    await happens('a', 'registered', ['m1', 'm2'])
    const rows = world.task.sent.map((s) => s.content.card?.rows.map((row) => row.value))
    expect(rows.sort()).toEqual([
      ['新名', '老客回访'],
      ['王姐 肤质敏感', '老客回访'],
    ])
  })

  it('give a guide as long as the step says from when she has the card, not from when it was planned', async () => {
    const journeys = [{ ...task('call', 'Call'), steps: [{ task: { title: 'Call', script: 'talk', due: '4h' } }] }]
    await start({ journeys }, { at: '2026-03-02T13:30:00Z' }) // 21:30
    await happens('a', 'registered', ['m1'])
    await world.until('2026-03-03T04:59:00Z')
    expect(world.task.sent.map((s) => s.at)).toEqual([new Date('2026-03-03T01:00:00Z')])
    expect((await world.docs.tasks.find({})).map((t) => [t.state, t.dueAt])).toEqual([
      ['open', new Date('2026-03-03T05:00:00Z')],
    ])
    await world.until('2026-03-03T05:00:00Z')
    expect(await touches()).toEqual([['call:1:0/0', 'expired']])
    expect(world.task.cancelled).toHaveLength(1)
  })

  it('go to another guide who has her where the first one is refused; to nobody twice', async () => {
    await start({ journeys: [message('first', 'viewed'), { ...task('call', 'Call'), enter: { on: 'viewed' } }] })
    const refuse = (channel: typeof world.wecom) => {
      const { answer } = channel
      channel.answer = (d) =>
        [d.sender, ...d.recipients.map((r) => r.to)].includes('guide-1')
          ? { kind: 'refused', reason: 'wecom_60111', message: 'no such member', elsewhere: true }
          : answer(d)
    }
    refuse(world.wecom)
    refuse(world.task)
    await world.accept('x', contactRecord('m1', hoursIn(-1), 'guide-1'), {
      ...contactRecord('m1', hoursIn(-0.5), 'guide-2'),
      events: [
        {
          ...{ id: 'contact:2', name: 'contact_added', occurredAt: hoursIn(-0.5) },
          properties: { userId: 'guide-2', externalUserId: 'wm-m1' },
        },
      ],
    })
    await happens('a', 'viewed', ['m1'])
    expect(world.wecom.sent.map((s) => s.sender)).toEqual(['guide-2'])
    expect(world.task.sent.map((s) => s.recipients.map((r) => r.to))).toEqual([['guide-2']])
    expect((await touches()).map(([, state]) => state)).toEqual(['created', 'created'])
    // Only the first one has this one.
    await happens('b', 'viewed', ['m2'])
    expect((await world.docs.touches.find({ profileId: 2 })).map((t) => [t.state, t.reason])).toEqual([
      ['suppressed', 'refused'],
      ['suppressed', 'refused'],
    ])
  })

  it('hand out no code any more that the file does not name, and again one that it names again', async () => {
    const pool = (...codes: string[]) => [{ id: 'pool', codes }]
    const definitions = { contents, journeys: [coupon()] }
    await start({ ...definitions, coupons: pool('CODE1', 'CODE2') })
    await world.publish({ ...definitions, coupons: pool('CODE2') })
    await happens('a', 'registered', ['m1'])
    await happens('b', 'registered', ['m2'])
    const codes = async () => (await world.docs.touches.find({})).map((t) => t.couponCode ?? t.reason)
    expect(await codes()).toEqual(['CODE2', 'coupon_stock'])
    await world.publish({ ...definitions, coupons: pool('CODE1', 'CODE2') })
    await happens('c', 'registered', ['m3'])
    expect(await codes()).toEqual(['CODE2', 'coupon_stock', 'CODE1'])
  })

  it('hand a guide no more cards a minute than WeCom delivers, over however many calls', async () => {
    await start({ journeys: [task('aa', 'Call')], policy: { tasksPerGuidePerMinute: 2 } })
    await happens('a', 'registered', ['m1'])
    await happens('b', 'registered', ['m2'])
    await happens('c', 'registered', ['m3', 'm4', 'm5'])
    await happens('d', 'registered', ['n1'], 'guide-2')
    expect(world.task.sent.flatMap((s) => s.recipients.map((r) => r.to))).toEqual(['guide-1', 'guide-1', 'guide-2'])
    await world.until(hoursIn(0.1))
    const minutes = world.task.sent.filter((s) => s.recipients[0]?.to === 'guide-1').map((s) => s.at.getUTCMinutes())
    expect(minutes).toEqual([0, 0, 1, 1, 2])
  })

  it('give one code per touch, and none twice, until they run out', async () => {
    await start({ journeys: [coupon()], coupons: [{ id: 'pool', codes: ['CODE1', 'CODE2'] }] })
    await happens('a', 'registered', ['m1', 'm2', 'm3'])
    const codes = (await world.docs.touches.find({})).map((t) => [t.state, t.reason ?? t.couponCode])
    expect(codes).toEqual([
      ['created', 'CODE1'],
      ['created', 'CODE2'],
      ['suppressed', 'coupon_stock'],
    ])
    expect(world.task.sent.map((s) => s.content.text).sort()).toEqual(['Code CODE1', 'Code CODE2'])
    expect((await world.docs.coupons.find({ state: 'issued' })).map((c) => c.touchId)).toEqual([
      'gift:1:0/0',
      'gift:2:0/0',
    ])
  })

  it('expire when nobody did them until they were due', async () => {
    await start({ journeys: [task('aa', 'Call')] })
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(23.9))
    expect(await touches()).toEqual([['aa:1:0/0', 'created']])
    await world.until(hoursIn(24))
    expect(await touches()).toEqual([['aa:1:0/0', 'expired']])
    expect((await world.docs.tasks.find({})).map((t) => t.state)).toEqual(['expired'])
  })
})
