import { beforeEach, describe, expect, it } from '@jest/globals'
import { storesTable, tables } from '../../../src/domain/events/tables.js'
import { personalRows } from '../../../src/services/identity/personal-data.js'
import type { OperationInput, OperationName, OperationResult } from '../../../src/services/runtime/operations.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { contactRecord, operationsOf, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const openWorld = useWorld()
let world: World
beforeEach(async () => {
  world = await openWorld({
    at: START,
    definitions: {
      tags: [{ id: 'keen', type: 'flag', when: { event: 'contact_added' } }],
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
  for (const [name, phone] of [
    ['ann', '13800138001'],
    ['bob', '13800138002'],
  ] as const) {
    const record = contactRecord(name, START, 'guide-1') as { identifiers: object[] }
    const identifiers = [{ type: 'phone', value: phone }, ...record.identifiers]
    await world.accept(name, { ...record, identifiers, traits: { name: `客户 ${name}`, city: '上海' } })
  }
  await world.run()
  // Both in one batch, which waits.
  const order = (name: string, source = 'test', id = `o-${name}`) => ({
    source,
    observedAt: new Date(START),
    identifiers: [{ type: 'member_id', value: name }],
    events: [{ id, name: 'order_paid', occurredAt: new Date(START) }],
  })
  // Two shops number their orders alike.
  await world.accept('shops', order('ann', 'shop-a', '1001'), order('bob', 'shop-b', '1001'))
  await world.run()
  await world.accept('waits', order('ann'), order('bob'))
})

const ask = <N extends OperationName>(name: N, input: OperationInput<N>): Promise<OperationResult<N>> =>
  runOperation(operationsOf(world), 'key:1', name, input)

describe('the export of a person', () => {
  it('has everything of hers, from every store, and nothing of others', async () => {
    const done = await ask('person/export', { of: { value: '138 0013 8001' } })
    expect(done).toMatchObject({ profileId: 1, at: new Date(START).toISOString(), unread: [] })
    expect(Object.keys(done.documents).sort()).toEqual(
      [
        'batches',
        'dispatches',
        'evidence',
        'identifiers',
        'profileTags',
        'profiles',
        'runs',
        'tasks',
        'touches',
      ].sort(),
    )
    // Beside what our own lanes have said of her.
    const waiting = done.documents.batches!.filter((batch) => (batch as { _id: string })._id === 'waits')
    expect(waiting).toMatchObject([{ records: [{ events: [{ id: 'o-ann' }] }] }])
    expect(Object.keys(done.events).sort()).toEqual([
      'event_ids',
      'events',
      'identity_changes',
      'profiles',
      'tag_changes',
      'tag_state',
      'trait_changes',
    ])
    const text = JSON.stringify(done)
    for (const hers of ['13800138001', '客户 ann', 'wm-ann', '2026-03-02T02:00:00']) expect(text).toContain(hers)
    for (const his of ['13800138002', '客户 bob', 'wm-bob', 'o-bob', 'shop-b']) expect(text).not.toContain(his)
    const [row] = (await ask('audit/list', {})).rows
    expect([row!.operation, row!.target]).toEqual(['person/export', 'profile 1'])
    // Now that is held of her, too.
    expect((await ask('person/export', { of: { profileId: 1 } })).documents.audit).toHaveLength(1)
  })

  it('says what cannot be read here', async () => {
    await world.docs.touches.put([{ _id: 'odd', profileId: 2 } as never])
    const done = await ask('person/export', { of: { profileId: 2 } })
    expect(done.unread).toEqual([{ collection: 'touches', id: 'odd' }])
  })

  it('is asked of every table', () => {
    expect([...personalRows.keys()].map((t) => t.name).sort()).toEqual(
      [...tables, storesTable].map((t) => t.name).sort(),
    )
  })
})
