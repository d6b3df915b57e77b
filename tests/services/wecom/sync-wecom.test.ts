import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { reconcileWecom } from '../../../src/services/wecom/reconcile-wecom.js'
import { syncWecom } from '../../../src/services/wecom/sync-wecom.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { type Company, openCompany } from '../../support/wecom-company.js'

const START = new Date('2026-08-03T01:00:00Z') // Monday, 09:00 in Shanghai
const later = (ms: number) => new Date(START.getTime() + ms)
const EAGER = { confirmAtOnce: 1, confirmLate: 0, never: 0 }
const idOf = (i: number) => `wm${String(i).padStart(30, '0')}`
const CUSTOMERS = 240

let company: Company
beforeEach(async () => {
  company = await openCompany({
    startAt: START,
    scenario: {
      members: ['guide001', 'guide002', 'guide003'].map((userId) => ({ userId, name: userId, diligence: EAGER })),
      contacts: Array.from({ length: CUSTOMERS }, (_, i) => ({
        externalUserId: idOf(i),
        name: `顾客 ${String(i).padStart(4, '0')}`,
        addedAt: later(-DAY_MS),
        followUserIds: i % 10 === 1 ? ['guide001', 'guide002'] : ['guide001'],
      })),
      corpTags: [{ name: '等级', tags: [{ tagId: 'et-important', name: '重要' }] }],
    },
    wecom: { reconcileAt: '10:00' },
  })
})
afterEach(() => company.close())

const relations = () => company.deps.docs.wecomRelations
const silently = async (what: string, body: object) => {
  const { sandbox } = company
  await company.control(what, body)
  await sandbox.advanceTo(sandbox.now())
  await company.deps.docs.callbacks.delete({})
}

describe('a full sync', () => {
  it('mirrors every relation, and tells everybody once', async () => {
    const seen: number[] = []
    const result = await syncWecom(company.deps, (n) => seen.push(n))
    expect(result).toEqual({ members: 3, relations: 264, changed: 264, ended: 0, groups: 0, tags: 1 })
    expect(seen.at(-1)).toBe(264)
    await company.settle()
    expect(await relations().count({ state: 'active' })).toBe(264)
    expect(await company.deps.docs.profiles.count({})).toBe(CUSTOMERS)
    expect(await company.deps.docs.wecomMembers.count({ serves: true })).toBe(3)
    const [both] = await company.deps.docs.profiles.find({ 'identifiers.value': idOf(1) })
    expect(both!.contacts.map((c) => c.userId).sort()).toEqual(['guide001', 'guide002'])
    expect(both!.traits['wecom_followers']).toMatchObject({ wecom: { value: 'guide001,guide002' } })
  })

  it('that finds nothing new writes nothing', async () => {
    await syncWecom(company.deps)
    await company.settle()
    const before = await company.deps.docs.batches.count({})
    const again = await syncWecom(company.deps)
    expect(again).toMatchObject({ relations: 264, changed: 0, ended: 0 })
    expect(await company.deps.docs.batches.count({})).toBe(before)
  })

  it('goes on after a crash where its pages stood, and ends with the same', async () => {
    let pages = 0
    const { wecom } = company.deps
    const broken = {
      ...company.deps,
      wecom: {
        ...wecom,
        relationPage: (ids: readonly string[], cursor?: string) =>
          ++pages > 2 ? Promise.reject(new Error('killed')) : wecom.relationPage(ids, cursor),
      },
    }
    await expect(syncWecom(broken)).rejects.toThrow('killed')
    const left = await company.deps.docs.wecomSyncChunks.find({ state: 'waiting' })
    expect(left.length).toBeGreaterThan(0)
    const cursors: (string | undefined)[] = []
    const watched = {
      ...company.deps,
      wecom: {
        ...wecom,
        relationPage: (ids: readonly string[], cursor?: string) => {
          cursors.push(cursor)
          return wecom.relationPage(ids, cursor)
        },
      },
    }
    expect(await syncWecom(watched)).toMatchObject({ relations: 264 })
    expect(cursors.length).toBeLessThan(5)
    expect(await relations().count({ state: 'active' })).toBe(264)
    expect(await company.deps.docs.wecomSyncChunks.count({})).toBe(0)
  })

  it('begins a chunk anew when its cursor has expired', async () => {
    const { wecom } = company.deps
    let expired = false
    const forgetful = {
      ...company.deps,
      wecom: {
        ...wecom,
        relationPage: async (ids: readonly string[], cursor?: string) => {
          if (cursor === undefined || expired) return wecom.relationPage(ids, cursor)
          expired = true
          return 'expired' as const
        },
      },
    }
    expect(await syncWecom(forgetful)).toMatchObject({ relations: 264, changed: 264 })
    expect(expired).toBe(true)
  })
})

describe('the daily reconciliation', () => {
  it('is due at its time of day', async () => {
    await company.settle()
    await company.until(later(59 * MINUTE_MS))
    await company.settle()
    expect(await relations().count({})).toBe(0)
    await company.until(later(HOUR_MS))
    await company.settle()
    expect(await relations().count({ state: 'active' })).toBe(264)
  })

  it('finds additions and deletions that no callback told of', async () => {
    await syncWecom(company.deps)
    await company.settle()
    await silently('contacts/add', { userId: 'guide003', externalUserId: 'wm-new' })
    await silently('contacts/delete', { userId: 'guide001', externalUserId: idOf(5), by: 'member' })
    await company.until(later(DAY_MS))
    await reconcileWecom(company.deps)
    await company.settle()
    expect(await relations().get('guide003/wm-new')).toMatchObject({ state: 'active' })
    expect(await relations().get(`guide001/${idOf(5)}`)).toMatchObject({ state: 'ended' })
    const gone = await company.deps.events.query(
      `SELECT properties FROM events WHERE name = 'contact_deleted'`,
      z.object({ properties: z.string() }),
    )
    expect(gone.map((e) => JSON.parse(e.properties) as object)).toEqual([
      { userId: 'guide001', externalUserId: idOf(5), by: 'unknown' },
    ])
  })

  it('finds within a week what was changed through the API', async () => {
    await syncWecom(company.deps)
    await company.settle()
    await silently('contacts/edit', { userId: 'guide001', externalUserId: idOf(7), addTags: ['et-important'] })
    for (let day = 1; day <= 7; day++) {
      await company.until(later(day * DAY_MS + 2 * HOUR_MS))
      await reconcileWecom(company.deps)
    }
    await company.settle()
    expect((await relations().get(`guide001/${idOf(7)}`))?.follow.tagIds).toEqual(['et-important'])
    const [customer] = await company.deps.docs.profiles.find({ 'identifiers.value': idOf(7) })
    expect(customer!.traits['wecom_tags']).toMatchObject({ wecom: { value: '等级/重要' } })
  })
})
