import { describe, expect, it } from '@jest/globals'
import { identityOf } from '../../../sandbox/identity.js'
import { parseScenario, type ScenarioInput } from '../../../sandbox/scenario.js'
import { State } from '../../../sandbox/state.js'
import { World } from '../../../sandbox/world/world.js'
import { DAY_MS } from '../../../src/time.js'
import { open, START } from '../support.js'
import { raised } from './support.js'

const scenario = (more: ScenarioInput['population'] = {}): ScenarioInput => ({
  corpTags: [{ name: '等级', tags: [{ name: '一般' }, { name: '重要' }] }],
  habits: { clickRatio: 0.5, buyRatio: 0.2 },
  population: {
    members: 6,
    departments: 2,
    customers: 400,
    arriving: { ratio: 0.25, overDays: 20, halfRatio: 0.4 },
    ownSendsPerMonth: 8,
    perYear: { orders: 40, edits: 30, groupJoins: 20, groupLeaves: 20, adds: 5, deletes: 5, deletedByMember: 2 },
    ...more,
  },
})
const days = (n: number) => new Date(START.getTime() + n * DAY_MS)

function start(input = scenario(), seed = 1): World {
  const world = new World(new State(':memory:'), seed, parseScenario(input), identityOf(seed), () => true)
  world.write(() => {
    world.populate(START)
    world.state.setMeta('now_ms', String(START.getTime()))
  })
  return world
}

function play(world: World, to: Date, past = true): World {
  while (world.playNext(to, past) !== undefined);
  return world
}

const count = (world: World, sql: string) => world.state.get<{ n: number }>(`SELECT count(*) AS n FROM ${sql}`)!.n

describe('a population', () => {
  it('is there on the first day: members in departments, customers with tags, groups; the rest are still to come', () => {
    const world = start()
    const people = world.people!
    expect(world.staff.all.map((m) => m.userId)).toEqual(['guide001', 'guide002', 'guide003', 'guide004', 'guide005', 'guide006']) // prettier-ignore
    expect(world.staff.departments.map((d) => d.id)).toEqual([1, 2, 3])
    expect(count(world, 'contact')).toBe(400)
    const here = count(world, '(SELECT DISTINCT external_user_id FROM relation)')
    expect(here).toBeGreaterThan(260)
    expect(here).toBeLessThan(340) // 300 of 400, give or take
    expect(count(world, 'relation')).toBeGreaterThan(here)
    expect(count(world, 'relation_tag')).toBeGreaterThan(100)
    expect(count(world, 'chat')).toBe(6)
    expect(count(world, 'chat_member WHERE type = 2')).toBeGreaterThan(20)
    const ids = Array.from({ length: 400 }, (_, c) => people.externalUserId(c))
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids.map((id) => people.customerOf(id))).toEqual(ids.map((_, c) => c))
    expect(people.customerOf('wmSomebodyElse')).toBeUndefined()
  })

  it('lives: comes, buys, joins, leaves, is edited and written to, and calls back for what the platform tells', () => {
    const world = play(start(), days(30))
    const kinds = new Map<unknown, number>()
    for (const { ChangeType, UpdateDetail } of raised(world))
      kinds.set(UpdateDetail ?? ChangeType, (kinds.get(UpdateDetail ?? ChangeType) ?? 0) + 1)
    expect([...kinds.keys()].sort()).toEqual([
      'add_external_contact',
      'add_half_external_contact',
      'add_member',
      'del_external_contact',
      'del_follow_user',
      'del_member',
      'edit_external_contact',
    ])
    expect(count(world, `relation WHERE status = 'half'`)).toBe(0) // the member adds back within hours
    const orders = world.shop.purchases(0, 100_000)
    // 40 a year each, for a month, 300 of them from the start on and 100 for a part of it; lively ones differ.
    expect(orders.length).toBeGreaterThan(700)
    expect(orders.length).toBeLessThan(1_900)
    expect(orders.map((o) => o.at.getTime())).toEqual(orders.map((o) => o.at.getTime()).sort((a, b) => a - b))
    expect(new Set(orders.map((o) => o.orderNo)).size).toBe(orders.length)
    expect(orders.every((o) => Number.isInteger(o.amountMinor) && o.amountMinor > 0)).toBe(true)
    expect(count(world, 'mass WHERE creator IS NOT NULL')).toBeGreaterThan(10)
    expect(world.state.counters().get('reads')).toBeGreaterThan(100)
  })

  it('is the same for the same seed, however it is played, and another one for another seed', () => {
    const whole = play(start(), days(20))
    const steps = start()
    for (let d = 1; d <= 20; d++) play(steps, days(d), false)
    expect(steps.events.hash).toBe(whole.events.hash)
    expect(steps.events.events).toBe(whole.events.events)
    expect(raised(steps)).toEqual(raised(whole))
    expect(play(start(scenario(), 2), days(20)).events.hash).not.toBe(whole.events.hash)
  })

  it('goes on from its state as if nothing had happened, even in the middle of a transaction that failed', () => {
    const whole = play(start(), days(20))
    const broken = play(start(), days(7))
    expect(() =>
      broken.write(() => {
        play(broken, days(9))
        throw new Error('killed')
      }),
    ).toThrow('killed')
    play(broken, days(11))
    const again = new World(broken.state, 1, broken.scenario, broken.identity, () => true)
    expect(play(again, days(20)).events.hash).toBe(whole.events.hash)
    expect(again.shop.purchases(0, 100_000)).toEqual(whole.shop.purchases(0, 100_000))
  })
})

describe('what a message earns', () => {
  it('is told by orders that name it, and its link by clicks', async () => {
    const members = [{ userId: 'g1', name: '导购 001', diligence: { confirmAtOnce: 1, confirmLate: 0, never: 0 } }]
    const contacts = Array.from({ length: 60 }, (_, i) => ({
      externalUserId: `wm${i}`,
      name: `顾客 ${i}`,
      addedAt: '2011-01-01T00:00:00Z',
      followUserIds: ['g1'],
    }))
    const sandbox = await open({ members, contacts, habits: { readRatio: 1, clickRatio: 0.5, buyRatio: 0.3 } })
    const token = await sandbox.handle({
      method: 'GET',
      url: `/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${sandbox.app.secret}`,
      headers: {},
      body: Buffer.alloc(0),
    })
    const { access_token } = JSON.parse(token!.body.toString()) as { access_token: string }
    const link = { title: '新品', url: 'https://shop.example/?d=1' }
    await sandbox.handle({
      method: 'POST',
      url: `/cgi-bin/externalcontact/add_msg_template?access_token=${access_token}`,
      headers: {},
      body: Buffer.from(JSON.stringify({ sender: 'g1', text: { content: '您好' }, attachments: [{ msgtype: 'link', link }] })), // prettier-ignore
    })
    await sandbox.advanceTo(days(5))
    const messages = new Set(sandbox.log().map((m) => m.messageId))
    expect(messages.size).toBe(60)
    const clicks = sandbox.clicks()
    expect(clicks.length).toBeGreaterThan(15)
    expect(clicks.length).toBeLessThan(45)
    expect(clicks.every((c) => messages.has(c.messageId) && c.url === link.url)).toBe(true)
    const orders = sandbox.purchases()
    expect(orders.length).toBeGreaterThan(6)
    expect(orders.length).toBeLessThan(32)
    expect(orders.every((o) => messages.has(o.messageId!))).toBe(true)
    expect(sandbox.purchases(orders[2]!.seq, 2)).toEqual(orders.slice(3, 5))
    expect(sandbox.counts()).toMatchObject({ clicks: clicks.length, purchases: orders.length })
    await sandbox.close()
  })
})
