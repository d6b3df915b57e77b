import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { encrypt, getSignature } from '@wecom/crypto'
import { z } from 'zod'
import { handleCallbacks } from '../../../src/services/wecom/handle-callbacks.js'
import { syncWecom } from '../../../src/services/wecom/sync-wecom.js'
import { bucketOf } from '../../../src/stored/buckets.js'
import type { DispatchDoc } from '../../../src/stored/touches.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import { stopClocks } from '../../support/fake-clock.js'
import { type Company, openCompany } from '../../support/wecom-company.js'
import { NAUGHTY } from '../../support/naughty-strings.js'

const START = new Date('2026-08-03T01:00:00Z') // Monday, 09:00 in Shanghai
const EAGER = { confirmAtOnce: 1, confirmLate: 0, never: 0 }
const idOf = (i: number) => `wm${String(i).padStart(30, '0')}`

let company: Company
beforeEach(async () => {
  company = await openCompany({
    startAt: START,
    scenario: {
      members: ['guide001', 'guide002'].map((userId) => ({ userId, name: userId, diligence: EAGER })),
      contacts: Array.from({ length: 20 }, (_, i) => ({
        externalUserId: idOf(i),
        name: `顾客 ${String(i).padStart(4, '0')}`,
        addedAt: new Date(START.getTime() - DAY_MS),
        followUserIds: i === 1 ? ['guide001', 'guide002'] : ['guide001'],
      })),
      corpTags: [{ name: '等级', tags: [{ tagId: 'et-important', name: '重要' }] }],
    },
    wecom: { lostNotice: { guide: true, userIds: [] } },
  })
  await syncWecom(company.deps)
  await company.settle()
})
afterEach(async () => {
  jest.useRealTimers()
  await company.close()
})

const docs = () => company.deps.docs
const wait = async (ms: number) => {
  await company.until(new Date(company.sandbox.now().getTime() + ms))
}
const eventsNamed = async (name: string) =>
  (
    await company.deps.events.query(
      `SELECT properties FROM events WHERE name = '${name}' ORDER BY occurred_at, event_id`,
      z.object({ properties: z.string() }),
    )
  ).map((row) => JSON.parse(row.properties) as Record<string, unknown>)

/** A delivery as the platform sends it. */
async function deliver(fields: Record<string, string | number>): Promise<number> {
  const { app, corpId } = company.sandbox
  const elements = Object.entries({ ToUserName: corpId, FromUserName: 'sys', MsgType: 'event', ...fields })
  const message = `<xml>${elements.map(([name, value]) => `<${name}><![CDATA[${String(value)}]]></${name}>`).join('')}</xml>`
  const encrypted = encrypt(app.callback.encodingAesKey, message, corpId)
  const [timestamp, nonce] = ['1785718800', '42']
  const query = new URLSearchParams({
    msg_signature: getSignature(app.callback.token, timestamp, nonce, encrypted),
    timestamp,
    nonce,
  })
  const body = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`
  const response = await fetch(`${company.callbackUrl}?${query.toString()}`, { method: 'POST', body })
  expect(await response.text()).toBe('success')
  return response.status
}
const change = (ChangeType: string, UserID: string, ExternalUserID: string, at: Date) => ({
  CreateTime: Math.floor(at.getTime() / 1000),
  Event: 'change_external_contact',
  ChangeType,
  UserID,
  ExternalUserID,
})

describe('callbacks', () => {
  it('of one customer cost one request; a repeat, that may be another edit of that second, one more', async () => {
    let asked = 0
    const { wecom } = company.deps
    company.deps.wecom = { ...wecom, relationsOf: (id, p) => (asked++, wecom.relationsOf(id, p)) }
    const edit = change('edit_external_contact', 'guide001', idOf(3), START)
    for (let i = 0; i < 5; i++) await deliver({ ...edit, CreateTime: edit.CreateTime + i })
    expect(await deliver(edit)).toBe(200)
    // It may be an edit of its own, within the same second.
    expect(await docs().callbacks.count({ state: 'accepted' })).toBe(6)
    await company.settle()
    expect(asked).toBe(1)
    expect(await deliver(edit)).toBe(200)
    await company.settle()
    expect(asked).toBe(2)
    expect(await eventsNamed('contact_edited')).toHaveLength(5)
    expect(await docs().callbacks.count({ state: 'done' })).toBe(7)
  })

  it('of a burst are worked off when it is over', async () => {
    const { callbacks } = docs()
    const BEFORE = 1_000_000
    let seq = BEFORE
    /** As the intake stores them, at many times the rate that the platform's quota lets us read at. */
    const arrive = (count: number) =>
      callbacks.insert(
        Array.from({ length: count }, () => ({
          _id: `burst${++seq}`,
          seq,
          state: 'accepted' as const,
          acceptedAt: company.deps.clock.now(),
          about: `contact:${idOf(seq % 20)}`,
          message: `<xml><CreateTime>${seq}</CreateTime><Event>change_external_contact</Event><ChangeType>edit_external_contact</ChangeType><UserID>guide001</UserID><ExternalUserID>${idOf(seq % 20)}</ExternalUserID></xml>`,
        })),
      )
    let looks = 0
    let waiting = 0
    let done = 0
    const watched: typeof callbacks = {
      ...callbacks,
      // A hundred come between any two looks, five times over.
      findOne: async (...args) => {
        const newest = await callbacks.findOne(...args)
        if (++looks > 1 && looks <= 5) await arrive(100)
        if (looks === 5) waiting = await callbacks.count({ state: 'accepted' })
        if (looks === 5) done = await callbacks.count({ state: 'done' })
        return newest
      },
      put: async (docs) => {
        await callbacks.put(docs)
        if (looks === 1 && seq === BEFORE + 200) await arrive(100)
      },
    }
    stopClocks() // so that whatever has arrived since the look before did so in no time
    await arrive(200)
    await handleCallbacks({ ...company.deps, docs: { ...docs(), callbacks: watched } })
    // What waited before the burst was seen to be one is done, and no more.
    expect({ done, waiting }).toEqual({ done: 200, waiting: 500 })
    expect(await callbacks.count({ state: 'accepted' })).toBe(0)
  })

  it('bring the mirror and the profile up to what the platform shows', async () => {
    await company.control('contacts/edit', {
      userId: 'guide001',
      externalUserId: idOf(4),
      remark: '常客',
      addTags: ['et-important'],
    })
    await wait(SECOND_MS)
    await company.settle()
    expect(await docs().wecomRelations.get(`guide001/${idOf(4)}`)).toMatchObject({
      revision: 2,
      follow: { remark: '常客', tagIds: ['et-important'] },
    })
    expect(await eventsNamed('wecom_tags_changed')).toEqual([{ userId: 'guide001', added: ['等级/重要'], removed: [] }])
  })

  it('that come late do not bring back whom they are about', async () => {
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(5), by: 'customer' })
    await wait(SECOND_MS)
    await company.settle()
    const before = new Date(START.getTime() - 5 * DAY_MS)
    await deliver({ ...change('add_external_contact', 'guide001', idOf(5), before), WelcomeCode: 'OLD' })
    await company.settle()
    expect(await docs().wecomRelations.get(`guide001/${idOf(5)}`)).toMatchObject({ state: 'lost' })
    const [profile] = await docs().profiles.find({ 'identifiers.value': idOf(5) })
    expect(profile!.contacts[0]!.endedAt).toBeDefined()
    expect(await docs().welcomes.findOne({})).toMatchObject({ state: 'dropped', reason: 'code_expired' })
  })

  it('of an end that come before anything else is known leave her lost, though the platform shows her still', async () => {
    await docs().wecomRelations.delete({ _id: `guide001/${idOf(6)}` })
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(6), by: 'customer' })
    await wait(SECOND_MS)
    await company.settle()
    const shown = await company.deps.wecom.relationsOf(idOf(6), 'sync')
    expect(shown.map((r) => r.userId)).toEqual(['guide001'])
    const relation = await docs().wecomRelations.get(`guide001/${idOf(6)}`)
    expect(relation).toMatchObject({ state: 'lost', contact: { name: '顾客 0006' } })
  })

  it('of an end are told in words, whatever the customer calls herself', async () => {
    const tell = jest.spyOn(company.deps.wecom, 'tell')
    await docs().wecomRelations.update(`guide001/${idOf(8)}`, { $set: { 'follow.remark': NAUGHTY[0]! } })
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(8), by: 'customer' })
    await wait(SECOND_MS)
    await company.settle()
    expect(tell.mock.calls).toEqual([['guide001', expect.stringContaining('领奖')]])
    expect(tell.mock.calls[0]![1]).not.toMatch(/[<>]|:\/\//)
  })

  it('make her one again who adds the guide anew', async () => {
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(7), by: 'customer' })
    await wait(5 * SECOND_MS)
    await company.settle()
    await company.control('contacts/add', { userId: 'guide001', externalUserId: idOf(7) })
    await wait(5 * SECOND_MS)
    await company.settle()
    expect(await docs().wecomRelations.get(`guide001/${idOf(7)}`)).toMatchObject({ state: 'active' })
    const [profile] = await docs().profiles.find({ 'identifiers.value': idOf(7) })
    expect(profile!.contacts[0]!.endedAt).toBeUndefined()
  })

  it('that cannot be read are set aside, and the others go on', async () => {
    await deliver({ CreateTime: 1, Event: 'change_external_contact', ChangeType: 'edit_external_contact' })
    await deliver(change('edit_external_contact', 'guide001', idOf(8), START))
    await company.settle()
    expect(await docs().callbacks.count({ state: 'done' })).toBe(2)
    expect(await eventsNamed('contact_edited')).toHaveLength(1)
  })

  it('wait when the platform does not answer, and hold up nobody else', async () => {
    const { wecom } = company.deps
    const isBroken = (id: string) => id === idOf(9)
    company.deps.wecom = {
      ...wecom,
      relationsOf: (id, p) => (isBroken(id) ? Promise.reject(new Error('no answer')) : wecom.relationsOf(id, p)),
    }
    await deliver(change('edit_external_contact', 'guide001', idOf(9), START))
    await deliver(change('edit_external_contact', 'guide001', idOf(10), START))
    await expect(company.app.runLane('handle-callbacks')).rejects.toThrow('no answer')
    expect(await docs().callbacks.count({ state: 'accepted' })).toBe(1)
    company.deps.wecom = wecom
    await company.settle()
    expect(await eventsNamed('contact_edited')).toHaveLength(2)
  })
})

describe('a customer who deletes a guide', () => {
  const dispatch = (id: string, customers: number[], more: Partial<DispatchDoc>): DispatchDoc => ({
    _id: id,
    channel: 'wecom',
    state: 'ready',
    senderUserId: 'guide001',
    bucket: bucketOf('guide001'),
    recipients: customers.map((i) => ({ touchId: `${id}/${i}`, externalUserId: idOf(i) })),
    content: { text: 'hello', link: { title: 'a link', url: `https://m.example.com/t?m=${id}` } },
    releasedAt: START,
    nextAt: new Date(START.getTime() + DAY_MS),
    attempts: 0,
    polls: 0,
    ...more,
  })
  const touch = (id: string, i: number, more: object) => ({
    _id: `${id}/${i}`,
    profileId: 1,
    journeyId: 'j',
    runId: 'r',
    stepId: 's',
    channel: 'wecom' as const,
    contentId: 'c',
    state: 'planned' as const,
    plannedAt: START,
    ...more,
  })

  it('gets nothing more from her that was not handed over, and is noticed', async () => {
    const [profile] = await docs().profiles.find({ 'identifiers.value': idOf(2) })
    await docs().dispatches.put([dispatch('many', [2, 3], {}), dispatch('alone', [2], {})])
    const later = { releaseAt: new Date(START.getTime() + DAY_MS), profileId: profile!._id }
    await docs().touches.put([
      touch('many', 2, { dispatchId: 'many' }),
      touch('many', 3, { dispatchId: 'many' }),
      touch('alone', 2, { dispatchId: 'alone' }),
      touch('planned', 2, later),
    ])
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(2), by: 'customer' })
    await wait(SECOND_MS)
    await company.app.runLane('answer-callbacks')
    expect((await docs().dispatches.get('many'))!.recipients).toEqual([{ touchId: 'many/3', externalUserId: idOf(3) }])
    expect(await docs().dispatches.get('alone')).toMatchObject({ state: 'refused', reason: 'lost_contact' })
    const states = (await docs().touches.find({})).map((t) => [t._id, t.state, t.reason])
    expect(states).toEqual([
      ['alone/2', 'suppressed', 'lost_contact'],
      ['many/2', 'suppressed', 'lost_contact'],
      ['many/3', 'planned', undefined],
      ['planned/2', 'suppressed', 'lost_contact'],
    ])
    await company.settle()
    expect(await eventsNamed('contact_deleted')).toEqual([
      { userId: 'guide001', externalUserId: idOf(2), by: 'customer' },
    ])
    expect(company.sandbox.counts().appMessages).toBe(1)
  })

  it('stays reachable through another guide', async () => {
    const [profile] = await docs().profiles.find({ 'identifiers.value': idOf(1) })
    const releaseAt = new Date(START.getTime() + DAY_MS)
    await docs().touches.put([touch('planned', 1, { releaseAt, profileId: profile!._id })])
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(1), by: 'customer' })
    await wait(SECOND_MS)
    await company.settle()
    expect(await docs().touches.get('planned/1')).toMatchObject({ state: 'planned' })
  })

  it('is taken out at the last look, when the dispatch was written down at the same moment', async () => {
    await company.control('contacts/delete', { userId: 'guide001', externalUserId: idOf(2), by: 'customer' })
    await wait(SECOND_MS)
    await company.settle()
    await docs().dispatches.put([dispatch('late', [2, 3], { nextAt: START })])
    await docs().touches.put([touch('late', 2, { dispatchId: 'late' }), touch('late', 3, { dispatchId: 'late' })])
    await company.app.runLane('release-touches')
    await company.app.runLane('send-dispatches')
    expect(await docs().dispatches.get('late')).toMatchObject({
      state: 'created',
      recipients: [{ externalUserId: idOf(3) }],
    })
    expect(await docs().touches.get('late/2')).toMatchObject({ state: 'suppressed', reason: 'lost_contact' })
  })

  it('has a message for her alone taken back', async () => {
    await docs().dispatches.put([dispatch('asked', [2], { nextAt: START })])
    await docs().touches.put([touch('asked', 2, { dispatchId: 'asked' })])
    await company.app.runLane('release-touches')
    await company.app.runLane('send-dispatches')
    expect(await docs().dispatches.get('asked')).toMatchObject({ state: 'created' })
    await deliver(change('del_follow_user', 'guide001', idOf(2), new Date(START.getTime() + SECOND_MS)))
    await company.settle()
    expect(await docs().dispatches.get('asked')).toMatchObject({ state: 'done', reason: 'lost_contact' })
    expect(await docs().touches.get('asked/2')).toMatchObject({ state: 'suppressed', reason: 'lost_contact' })
  })
})
