import { beforeEach, describe, expect, it } from '@jest/globals'
import type { OperationInput, OperationName, OperationResult } from '../../../src/services/runtime/operations.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { contactRecord, operationsOf, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const PHONE = '13800000011'
const openWorld = useWorld()
let world: World
beforeEach(async () => {
  world = await openWorld({
    at: START,
    definitions: {
      tags: [{ id: 'keen', type: 'flag', when: { event: 'contact_added' } }],
      segments: { keen_ones: { tag: 'keen' }, buyers: { event: 'order_paid' } },
      journeys: [
        {
          id: 'hello',
          enter: { on: 'contact_added' },
          steps: [{ task: { title: '回电', script: 'words', due: '2d' } }],
        },
      ],
      contents: [{ id: 'words', text: '您好' }],
    },
  })
  const phone = { type: 'phone', value: PHONE }
  for (const name of ['m1', 'm2', 'm3']) {
    const record = contactRecord(name, START, 'guide-1') as { identifiers: object[] }
    const identifiers = name === 'm1' ? [phone, ...record.identifiers] : record.identifiers
    await world.accept(name, { ...record, identifiers, traits: { name: `客户 ${name}` } })
  }
  await world.run()
})

const ask = <N extends OperationName>(name: N, input: OperationInput<N>): Promise<OperationResult<N>> =>
  runOperation(operationsOf(world), 'key:1', name, input)

describe('looking around', () => {
  it('lists people page by page, with identifiers to copy and no phone numbers', async () => {
    const first = await ask('people', { limit: 2 })
    expect([first.people, first.rows.map((r) => [r.profileId, r.name, r.guideUserId]), first.next]).toEqual([
      3,
      [
        [1, '客户 m1', 'guide-1'],
        [2, '客户 m2', 'guide-1'],
      ],
      2,
    ])
    expect(first.rows[0]!.identifiers).toContainEqual(expect.objectContaining({ type: 'external_userid' }))
    expect(JSON.stringify(first)).not.toContain(PHONE)
    const rest = await ask('people', { limit: 2, after: first.next! })
    expect([rest.rows.map((r) => r.profileId), rest.next]).toEqual([[3], undefined])
  })

  it('shows one person by number, by an identifier, or by a value of any type', async () => {
    const person = await ask('person', { of: { profileId: 1 } })
    expect(person).toMatchObject({
      profileId: 1,
      traits: [{ name: 'name', value: '客户 m1' }],
      contacts: [{ userId: 'guide-1' }],
      tags: expect.arrayContaining([expect.objectContaining({ id: 'keen' })]) as unknown,
    })
    expect(person.events.map((e) => e.name)).toContain('contact_added')
    for (const whom of [{ identifier: { type: 'phone', value: PHONE } }, { value: PHONE }, { value: `+86 ${PHONE}` }])
      expect((await ask('person', { of: whom })).profileId).toBe(1)
    await expect(ask('person', { of: { value: 'nobody' } })).rejects.toThrow('nobody has this identifier')
  })

  it('finds her for every question by what is typed, and lists whom it may mean', async () => {
    const person = { value: '138-0000 0011' }
    const past = { asOf: world.clock.now().toISOString() }
    expect((await ask('why', { of: person })).profileId).toBe(1)
    expect((await ask('tags/explain', { tag: 'keen', person })).profileId).toBe(1)
    expect((await ask('segments/explain', { segment: 'keen_ones', person, past })).profileId).toBe(1)
    expect((await ask('journeys/explain', { journey: 'hello', person })).profileId).toBe(1)
    expect((await ask('person', { of: { value: '2' } })).profileId).toBe(2)
    const member = { identifiers: [{ type: 'member_id', value: '2' }], observedAt: new Date(START) }
    await world.accept('crm', { ...member, traits: { name: '会员 2' } })
    await world.run()
    await expect(ask('person', { of: { value: '2' } })).rejects.toThrow(
      /profile 2 \(--profile 2\); member_id profile 4 \(--profile 4\)/,
    )
  })

  it.each([
    ['unionid:o:1', { type: 'unionid', value: 'o:1' }],
    ['openid:wx1:o1', { type: 'openid:wx1', value: 'o1' }],
    ['AA:BB:CC:DD:EE:FF', { type: 'member_id', value: 'AA:BB:CC:DD:EE:FF' }],
    ['member_id:AA:BB:CC:DD:EE:FF', { type: 'member_id', value: 'AA:BB:CC:DD:EE:FF' }],
  ])('finds %s, with a type before it or without', async (value, identifier) => {
    await world.accept('crm', { identifiers: [identifier], observedAt: new Date(START), traits: { name: '有冒号' } })
    await world.run()
    expect((await ask('person', { of: { value } })).profileId).toBe(4)
  })

  it('shows an order of each of two shops that number theirs alike', async () => {
    for (const source of ['shop-a', 'shop-b'])
      await world.accept(source, {
        ...{ source, observedAt: new Date(START), identifiers: [{ type: 'phone', value: PHONE }] },
        events: [{ id: '1001', name: 'order_paid', occurredAt: new Date(START), amountMinor: 500 }],
      })
    await world.run()
    const { events } = await ask('person', { of: { value: PHONE } })
    expect(events.filter(({ id }) => id === '1001').map(({ source }) => source)).toEqual(['shop-a', 'shop-b'])
  })

  it('counts segments, and how things stand', async () => {
    const segments = await ask('segments', {})
    expect(segments.map((s) => [s.id, s.people])).toEqual([
      ['keen_ones', 3],
      ['buyers', 0],
    ])
    expect(await ask('status', {})).toMatchObject({
      people: 3,
      // What entering says of itself is taken up at a later instant.
      waiting: { batches: 1, callbacks: 0 },
      sending: { stopped: false },
      journeys: [{ id: 'hello', version: 1, entered: 3 }],
      stuck: { runs: 0, documents: 0 },
    })
  })

  it('is on record without what was asked for', async () => {
    await ask('people', {})
    await ask('person', { of: { value: PHONE } })
    const rows = await world.docs.audit.find({})
    expect(rows.map((r) => [r.operation, r.target])).toEqual([
      ['people', '3 people after profile 0'],
      ['person', 'profile 1'],
    ])
    expect(JSON.stringify(rows)).not.toContain(PHONE)
  })
})
