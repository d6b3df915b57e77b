import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { WecomEventOf } from '../../../src/domain/wecom/event.js'
import { applyEvent, ownerOf } from '../../../src/domain/identity/profile.js'
import { bucketOf } from '../../../src/stored/buckets.js'
import type { DispatchDoc } from '../../../src/stored/touches.js'
import type { GuideTask } from '../../../src/stored/guides.js'
import type { Transfer } from '../../../src/stored/wecom.js'
import type { Touch } from '../../../src/domain/touches/touch.js'
import {
  followTransfers,
  hurryTransfers,
  nextTransferAt,
  noteTransfer,
  transferCustomers,
} from '../../../src/services/wecom/transfer-customers.js'
import { UpstreamError } from '../../../src/errors.js'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import { openWecomWorld, type WecomWorld } from '../../support/wecom-world.js'

const START = new Date('2026-08-03T02:00:00Z')
let world: WecomWorld
async function open(habits: object = {}): Promise<void> {
  world = await openWecomWorld(
    {
      members: [1, 2, 3].map((i) => ({ userId: `guide00${i}`, name: `导购 00${i}` })),
      contacts: [1, 2, 3].map((i) => ({
        externalUserId: `wm${i}`,
        name: `顾客 ${i}`,
        addedAt: new Date(START.getTime() - 10 * DAY_MS),
        followUserIds: i === 3 ? ['guide001', 'guide003'] : ['guide001'],
      })),
      habits,
    },
    START,
  )
  for (const i of [1, 2, 3]) await world.customer(i, `wm${i}`)
}
beforeEach(async () => {
  await open()
})
afterEach(async () => {
  await world.close()
})

const ask = { from: 'guide001', to: 'guide002', kind: 'onjob' as const }
const stateOf = async (externalUserId: string): Promise<Transfer | undefined> =>
  (await world.docs.transfers.find({ externalUserId })).at(-1)
/** Moves the clock from due instant to due instant. */
async function until(to: Date): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const next = await nextTransferAt(world.deps)
    if (next === undefined || next > to) break
    if (next > world.sandbox.now()) await world.sandbox.advanceTo(next)
    await followTransfers(world.deps)
  }
  await world.sandbox.advanceTo(to)
}
const after = (ms: number) => new Date(START.getTime() + ms)

describe('a transfer', () => {
  it('is asked for once, and done a day later', async () => {
    await expect(transferCustomers(world.deps, ask)).resolves.toEqual({ asked: 3, underWay: 0 })
    await expect(transferCustomers(world.deps, ask)).resolves.toEqual({ asked: 0, underWay: 3 })
    await followTransfers(world.deps)
    expect(await stateOf('wm1')).toMatchObject({ state: 'waiting' })
    await until(after(23 * HOUR_MS))
    expect(await stateOf('wm1')).toMatchObject({ state: 'waiting' })
    await until(after(26 * HOUR_MS))
    expect((await world.docs.transfers.find({})).map((t) => t.state)).toEqual(['done', 'done', 'done'])
    expect((await stateOf('wm1'))?.at).toEqual(after(DAY_MS))
    expect(await nextTransferAt(world.deps)).toBeUndefined()
    expect((await world.docs.wecomRelations.get('guide001/wm1'))?.state).toBe('ended')
    expect((await world.docs.wecomRelations.get('guide002/wm1'))?.state).toBe('active')
  })

  it('gives the new owner the place of the old one, before others who know her longer', async () => {
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm3'] })
    await until(after(26 * HOUR_MS))
    const records = (await world.docs.batches.find({}, { sort: { seq: 1 } })).flatMap((b) => b.records ?? [])
    const profile = (await world.docs.profiles.get(3))!
    for (const event of records.flatMap((r) => r.events)) applyEvent(profile, event)
    expect(ownerOf(profile)?.userId).toBe('guide002')
    expect(records.flatMap((r) => r.traits['wecom_owner'] ?? []).at(-1)).toBe('guide002')
    expect(records.flatMap((r) => r.events).filter((e) => e.name === 'owner_changed')).toHaveLength(1)
  })

  it.each<[string, string]>([
    ['was lost before it was taken', 'html'],
    ['was taken and its answer lost', 'lost_reply'],
  ])('is asked for once more or not at all when the request %s', async (_what, kind) => {
    world.sandbox.fault({ kind: kind as 'html', path: '/cgi-bin/externalcontact/transfer_customer' })
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1'] })
    await followTransfers(world.deps)
    expect(await stateOf('wm1')).toMatchObject({ state: 'asking' })
    await until(after(2 * HOUR_MS))
    expect(await stateOf('wm1')).toMatchObject({ state: 'waiting' })
    await until(after(27 * HOUR_MS))
    expect(await stateOf('wm1')).toMatchObject({ state: 'done' })
  })

  it('says who was refused, and why, and goes on with the others', async () => {
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1', 'wmNobody'] })
    await followTransfers(world.deps)
    expect(await stateOf('wmNobody')).toMatchObject({ state: 'failed', reason: expect.stringMatching(/\(40\d{3}\)/) })
    expect(await stateOf('wm1')).toMatchObject({ state: 'waiting' })
  })

  it('fails when the customer refuses: she stays, and it is told at once', async () => {
    await world.close()
    await open({ refuseTransferRatio: 1 })
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1'] })
    await followTransfers(world.deps)
    await world.sandbox.advanceTo(after(DAY_MS + SECOND_MS))
    await hurryTransfers(world.deps, 'wm1')
    await followTransfers(world.deps)
    expect(await stateOf('wm1')).toMatchObject({ state: 'failed', reason: expect.stringContaining('拒绝') })
    expect((await world.docs.wecomRelations.get('guide001/wm1'))?.state).toBe('active')
  })

  it('refuses nobody and the same member', async () => {
    await expect(transferCustomers(world.deps, { ...ask, from: 'guide003', to: 'guide003' })).rejects.toThrow('--to')
    await expect(transferCustomers(world.deps, { ...ask, from: 'guide002', to: 'guide003' })).rejects.toThrow(
      '没有客户',
    )
  })
})

it.each([
  [
    'whose results are refused, since the old owner has left',
    new UpstreamError('wecom', '60111', false, 'no such member'),
  ],
  ['with which something of ours fails', new TypeError('no')],
])('%s holds up nobody else', async (_which, fault) => {
  const { transfers } = world.deps.wecomActions
  const results = transfers.results.bind(transfers)
  transfers.results = async function* (kind, from, to) {
    if (from === 'gone') throw fault
    yield* results(kind, from, to)
  }
  const now = world.sandbox.now()
  const waiting = { kind: 'onjob', from: 'gone', to: 'guide002', externalUserId: 'wm9', state: 'waiting' } as const
  await world.docs.transfers.put([{ _id: 'wm9:gone:guide002:0', ...waiting, askedAt: now, nextAt: now, polls: 0 }])
  await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1'] })
  await followTransfers(world.deps)
  expect(await stateOf('wm1')).toMatchObject({ state: 'waiting' })
  expect(await stateOf('wm9')).toMatchObject({ state: 'waiting', nextAt: after(HOUR_MS) })
  await until(after(4 * DAY_MS))
  expect(await stateOf('wm1')).toMatchObject({ state: 'done' })
  expect(await stateOf('wm9')).toMatchObject({ state: 'failed', reason: fault.message })
})

const lost = (externalUserId: string, at: Date): WecomEventOf<'contact_lost'> => ({
  kind: 'contact_lost',
  by: 'transfer',
  externalUserId,
  userId: 'guide001',
  at,
})

describe('a transfer made elsewhere', () => {
  it('is taken up from the callback, once', async () => {
    await world.client.transfer.customers({ ...ask, externalUserIds: ['wm1'] })
    await world.sandbox.advanceTo(after(DAY_MS + SECOND_MS))
    await noteTransfer(world.deps, lost('wm1', after(DAY_MS)))
    await noteTransfer(world.deps, lost('wm1', after(DAY_MS)))
    await followTransfers(world.deps)
    expect(await world.docs.transfers.find({})).toEqual([
      expect.objectContaining({ state: 'done', from: 'guide001', to: 'guide002' }),
    ])
  })

  it('ours is looked at when its callback comes, and not taken for another', async () => {
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1'] })
    await followTransfers(world.deps)
    await world.sandbox.advanceTo(after(DAY_MS + SECOND_MS))
    await noteTransfer(world.deps, lost('wm1', after(DAY_MS)))
    await followTransfers(world.deps)
    await noteTransfer(world.deps, lost('wm1', after(DAY_MS)))
    expect((await world.docs.transfers.find({})).map((t) => t.state)).toEqual(['done'])
  })

  it('is given up when nobody is seen to have taken her over', async () => {
    await noteTransfer(world.deps, lost('wm1', START))
    await until(after(2 * HOUR_MS))
    expect(await stateOf('wm1')).toMatchObject({ state: 'failed', reason: expect.stringContaining('找不到') })
  })
})

describe('with a customer go', () => {
  const content = {
    text: '她领了券还没用',
    card: { title: '私聊提醒', rows: [], buttons: [{ key: 'done', text: '已联系' }] },
  }
  const dispatch = (_id: string, more: Partial<DispatchDoc> = {}): DispatchDoc => ({
    _id,
    channel: 'wecom',
    state: 'ready',
    senderUserId: 'guide001',
    bucket: bucketOf('guide001'),
    recipients: [
      { touchId: 't1', externalUserId: 'wm1' },
      { touchId: 't2', externalUserId: 'wm2' },
    ],
    content: { text: '本周新品' },
    releasedAt: START,
    nextAt: START,
    attempts: 0,
    polls: 0,
    ...more,
  })
  const touch = (_id: string, profileId: number, more: Partial<Touch> = {}): Touch => ({
    _id,
    profileId,
    journeyId: 'j',
    runId: 'r',
    stepId: '0',
    channel: 'wecom',
    contentId: 'c',
    state: 'planned',
    plannedAt: START,
    releasedAt: START,
    senderUserId: 'guide001',
    externalUserId: `wm${profileId}`,
    ...more,
  })
  const task = (_id: string, guideUserId: string, touchIds: string[]): GuideTask => ({
    _id,
    guideUserId,
    profileId: 1,
    externalUserId: 'wm1',
    touchIds,
    titles: touchIds.map((t) => `title ${t}`),
    state: 'open',
    createdAt: START,
    dueAt: after(5 * DAY_MS),
  })
  const handOver = async () => {
    await transferCustomers(world.deps, { ...ask, externalUserIds: ['wm1'] })
    await until(after(26 * HOUR_MS))
  }

  it('what waits in a message of the old owner: it waits for its release again', async () => {
    await world.docs.touches.put([touch('t1', 1, { dispatchId: 'd1' }), touch('t2', 2, { dispatchId: 'd1' })])
    await world.docs.dispatches.put([dispatch('d1')])
    await handOver()
    expect((await world.docs.dispatches.get('d1'))?.recipients.map((r) => r.touchId)).toEqual(['t2'])
    const moved = (await world.docs.touches.get('t1'))!
    expect(moved.releaseAt).toBeInstanceOf(Date)
    expect([moved.state, moved.dispatchId, moved.senderUserId]).toEqual(['planned', undefined, undefined])
    expect((await world.docs.touches.get('t2'))?.dispatchId).toBe('d1')
  })

  it('her open tasks, as a card of the new owner', async () => {
    await world.docs.touches.put([touch('t1', 1, { channel: 'task', state: 'created', dispatchId: 'k1' })])
    await world.docs.tasks.put([task('k1', 'guide001', ['t1'])])
    const recipients = [{ touchId: 't1', externalUserId: 'wm1' }]
    await world.docs.dispatches.put([
      dispatch('k1', { channel: 'task', state: 'created', content, recipients, remoteId: 'm1' }),
    ])
    await handOver()
    const [open] = await world.docs.tasks.find({ state: 'open' })
    expect(open).toMatchObject({ guideUserId: 'guide002', touchIds: ['t1'] })
    expect(await world.docs.dispatches.get(open!._id)).toMatchObject({
      state: 'ready',
      senderUserId: 'guide002',
      content,
    })
    expect((await world.docs.dispatches.get(open!._id))?.remoteId).toBeUndefined()
    expect(await world.docs.touches.get('t1')).toMatchObject({
      state: 'created',
      senderUserId: 'guide002',
      dispatchId: open!._id,
    })
    expect(await world.docs.tasks.get('k1')).toMatchObject({ state: 'expired', outcome: 'transferred' })
    expect((await world.docs.dispatches.get('k1'))?.state).toBe('done')
  })

  it('tasks of which the new owner has one: their reasons wait for a card that tells of all', async () => {
    await world.docs.touches.put([touch('t1', 1, { channel: 'task', state: 'created', dispatchId: 'k1' })])
    await world.docs.tasks.put([task('k1', 'guide001', ['t1']), task('k2', 'guide002', ['t9'])])
    await world.docs.dispatches.put([dispatch('k1', { channel: 'task', state: 'created', content, recipients: [] })])
    await handOver()
    expect((await world.docs.tasks.find({ state: 'open' })).map((t) => t._id)).toEqual(['k2'])
    expect(await world.docs.tasks.get('k1')).toMatchObject({ state: 'expired', outcome: 'transferred' })
    const waiting = (await world.docs.touches.get('t1'))!
    expect([waiting.state, waiting.dispatchId, waiting.senderUserId]).toEqual(['planned', undefined, undefined])
  })

  it('the same after the same handover twice, as after a crash', async () => {
    await world.docs.touches.put([touch('t1', 1, { channel: 'task', state: 'created', dispatchId: 'k1' })])
    await world.docs.tasks.put([task('k1', 'guide001', ['t1'])])
    await world.docs.dispatches.put([dispatch('k1', { channel: 'task', state: 'created', content, recipients: [] })])
    await handOver()
    const tasks = await world.docs.tasks.find({})
    const dispatches = await world.docs.dispatches.find({})
    const [done] = await world.docs.transfers.find({})
    await world.docs.transfers.put([{ ...done!, state: 'waiting', nextAt: world.sandbox.now() }])
    await followTransfers(world.deps)
    expect([await world.docs.tasks.find({}), await world.docs.dispatches.find({})]).toEqual([tasks, dispatches])
    expect(await stateOf('wm1')).toMatchObject({ state: 'done' })
  })
})
