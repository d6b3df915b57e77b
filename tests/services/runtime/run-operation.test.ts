import { ASK_BOUNDS } from '../../../src/bounds.js'
import { beforeEach, describe, expect, it } from '@jest/globals'
import type { OperationName } from '../../../src/services/runtime/operations.js'
import { beginOperation, runOperation } from '../../../src/services/runtime/run-operation.js'
import { recordInterrupted, verifyAudit } from '../../../src/services/runtime/audit.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { around } from '../../support/around.js'
import type { AuditRow } from '../../../src/stored/audit.js'
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
  const phone = { identifiers: [{ type: 'phone', value: PHONE }, ...identifiersOf('m1')] }
  await world.accept('a', contactRecord('m1', START, 'guide-1', phone))
  await world.run()
})

function identifiersOf(name: string) {
  return (contactRecord(name, START) as { identifiers: object[] }).identifiers
}

async function audited(work: () => Promise<unknown>): Promise<Partial<AuditRow>[]> {
  const before = await world.docs.audit.count({})
  await work().catch(() => undefined)
  return world.docs.audit.find({ _id: { $gt: before } })
}
const run = (name: OperationName, input: unknown) =>
  audited(async () => (await beginOperation(operationsOf(world), 'key:1', name, input))())

describe('what is asked', () => {
  const asked = (input: unknown) =>
    beginOperation(operationsOf(world), 'key:1', 'segments/who', input).then((work) => work())
  const notNested = (depth: number): object =>
    depth === 0 ? { trait: 'city', is: 'x' } : { not: notNested(depth - 1) }
  const anyOf = (chars: number) => {
    const clauses: object[] = []
    for (let i = 0; JSON.stringify({ any: clauses }).length < chars - 80; i++)
      clauses.push({ event: `e${i}`, where: { a: 'x' } })
    return { any: clauses }
  }

  it('is answered as deep and as long as it may be, and refused beyond, however deep', async () => {
    const { depth, ruleChars } = ASK_BOUNDS
    for (const rule of [notNested(depth - 3), anyOf(ruleChars)])
      expect(await asked({ of: { rule } })).toMatchObject({ result: 'known' })
    await expect(asked({ of: { rule: notNested(depth) } })).rejects.toThrow('deeper than 60 levels')
    const deep: unknown = JSON.parse(`${'{"not":'.repeat(50_000)}1${'}'.repeat(50_000)}`)
    await expect(asked({ of: { rule: deep } })).rejects.toThrow('deeper than 60 levels')
    await expect(asked({ of: { rule: anyOf(ruleChars + 200) } })).rejects.toThrow('more than 10000 characters')
  })

  it('stands in the audit as far as it is of use', async () => {
    const [row] = await run('tags/refresh', { tags: ['x'.repeat(1_000_000)] })
    expect(row?.target?.length).toBe(ASK_BOUNDS.targetChars)
  })
})

describe('an operation', () => {
  it('leaves one row when it changed something', async () => {
    expect(await run('sending', { action: 'stop' })).toEqual([
      expect.objectContaining({
        who: 'key:1',
        operation: 'sending',
        target: 'stop',
        outcome: 'done',
        at: new Date(START),
      }),
    ])
    expect((await run('tags/refresh', { tags: ['keen'] }))[0]).toMatchObject({ target: 'keen', outcome: 'done' })
  })

  it.each<[OperationName, object]>([
    ['tags', {}],
    ['inbox', {}],
    ['sending', { action: 'status' }],
    ['wecom/stats', {}],
    ['audit/list', {}],
    ['audit/verify', {}],
  ])('leaves none when it only reads: %s %j', async (name, input) => {
    expect(await run(name, input)).toEqual([])
  })

  it('leaves one when it reveals what is known of a person, with her number in place of what she was named by', async () => {
    const person = { identifier: { type: 'phone', value: PHONE } }
    const rows = [
      ...(await run('why', { of: person })),
      ...(await run('tags/explain', { tag: 'keen', person })),
      ...(await run('journeys/explain', { journey: 'hello', person })),
    ]
    expect(rows.map((r) => [r.operation, r.target, r.outcome])).toEqual([
      ['why', 'profile 1', 'done'],
      ['tags/explain', 'keen, profile 1', 'done'],
      ['journeys/explain', 'hello, profile 1', 'done'],
    ])
    const [nobody] = await run('why', { of: { identifier: { type: 'phone', value: '13900139000' } } })
    expect(nobody).toMatchObject({ target: 'somebody by phone', outcome: 'refused', code: 'not_found' })
    // The hash would give the number away to whoever tries them all: two people asked for alike have the same.
    expect(nobody!.inputHash).toBe(rows[0]!.inputHash)
    expect(JSON.stringify(await world.docs.audit.find({}))).not.toContain('1380013')
  })

  it('keeps customers and words out of a transfer’s row', async () => {
    const transfer = { from: 'guide-1', to: 'guide-2', kind: 'onjob' as const }
    const [one] = await run('wecom/transfer', { ...transfer, externalUserIds: ['wm-m1'], message: 'bye' })
    const [other] = await run('wecom/transfer', { ...transfer, externalUserIds: ['wm-m2'] })
    expect(one).toMatchObject({ target: 'guide-1 → guide-2: 1', outcome: 'done' })
    expect(one!.inputHash).toBe(other!.inputHash)
    const [three] = await run('wecom/transfer', { ...transfer, externalUserIds: ['wm-m3', 'wm-m4'] })
    expect(three!.inputHash).not.toBe(one!.inputHash)
  })

  it('says when it was refused, and when it broke off', async () => {
    expect(await run('tags/refresh', { tags: ['none'] })).toEqual([
      expect.objectContaining({ target: 'none', outcome: 'refused', code: 'invalid_input' }),
    ])
    expect(await run('sending', { action: 'explode' })).toEqual([
      expect.objectContaining({ target: '', outcome: 'refused', code: 'invalid_input', inputHash: '' }),
    ])
    // This world has no files to publish.
    expect(await run('publish', {})).toEqual([expect.objectContaining({ outcome: 'failed', code: 'internal' })])
  })

  it.each([
    ['before its row', 'insert', 'failed', 'interrupted'],
    ['behind its row', 'delete', 'done', undefined],
  ])('is on record, once, when its process died %s', async (_name, method, outcome, code) => {
    const { docs } = world
    const operate = async (deps: ServiceDeps) =>
      (await beginOperation({ ...operationsOf(world), deps }, 'key:1', 'sending', { action: 'stop' }))()
    const dies = () => Promise.reject(new Error('died'))
    await expect(operate(around(world.deps, method === 'insert' ? 'audit' : 'meta', method, dies))).rejects.toThrow(
      'died',
    )
    expect((await docs.meta.find({ _id: { $gte: 'intent:', $lt: 'intent:~' } })).length).toBe(1)
    // Somebody else may be at it.
    await recordInterrupted(world.deps, false)
    expect(await docs.audit.count({ code: 'interrupted' })).toBe(0)
    await recordInterrupted(world.deps, true)
    await recordInterrupted(world.deps, true)
    const rows = await docs.audit.find({})
    expect(rows.map((r) => [r.who, r.operation, r.target, r.outcome, r.code])).toEqual([
      ['key:1', 'sending', 'stop', outcome, code],
    ])
    expect(await docs.meta.count({ _id: { $gte: 'intent:', $lt: 'intent:~' } })).toBe(0)
    expect((await verifyAudit(world.deps, () => undefined)).broken).toBeUndefined()
  })

  it('gives no answer that is not on record', async () => {
    world.faults.failAt = world.faults.writes + 1
    await expect(runOperation(operationsOf(world), 'key:1', 'why', { of: { profileId: 1 } })).rejects.toThrow(
      'audit.insert',
    )
  })
})
