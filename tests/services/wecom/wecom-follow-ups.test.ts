import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { ownerOf } from '../../../src/domain/identity/profile.js'
import { Ways } from '../../../src/domain/ways/definition.js'
import { quietLog } from '../../../src/log.js'
import { parseInput } from '../../../src/parse.js'
import { applyWays } from '../../../src/services/wecom/apply-ways.js'
import { syncWecom } from '../../../src/services/wecom/sync-wecom.js'
import { transferCustomers } from '../../../src/services/wecom/transfer-customers.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { type Company, openCompany } from '../../support/wecom-company.js'

const START = new Date('2026-08-03T02:00:00Z')
let company: Company
let client: WecomClient
beforeEach(async () => {
  company = await openCompany({
    startAt: START,
    scenario: {
      members: [1, 2].map((i) => ({ userId: `guide00${i}`, name: `导购 00${i}` })),
      contacts: [
        {
          externalUserId: 'wm1',
          name: '顾客 1',
          addedAt: new Date('2026-07-01T00:00:00Z'),
          followUserIds: ['guide001'],
        },
      ],
    },
    wecom: { writeback: 'on' },
  })
  const { sandbox } = company
  client = createWecomClient({
    baseUrl: sandbox.url,
    corpId: sandbox.corpId,
    agentId: sandbox.app.agentId,
    secret: sandbox.app.secret,
    clock: sandbox,
    log: quietLog,
    pause: () => Promise.resolve(),
  })
  await syncWecom(company.deps)
  await company.settle()
})
afterEach(async () => {
  client.close()
  await company.close()
})

/** Lets the world go on, with the service behind its callbacks. */
async function live(forMs: number): Promise<void> {
  const end = new Date(company.sandbox.now().getTime() + forMs)
  for (let at = company.sandbox.now(); at < end; at = company.sandbox.now()) {
    await company.until(new Date(Math.min(end.getTime(), at.getTime() + Math.max(MINUTE_MS, forMs / 20))))
    await company.settle()
  }
}

const profileOf = async (externalUserId: string) => {
  const link = await company.deps.docs.identifiers.get(`external_userid:${externalUserId}`)
  return company.deps.docs.profiles.get(link?.profileId ?? 0)
}

describe('the whole service behind its callbacks', () => {
  it('tags and remarks who scans a live code', async () => {
    const files = parseInput(Ways, {
      ways: [
        { id: 'store-001', name: '门店 001', users: ['guide002'], tags: ['来源/门店'], remark: '{{ name }}·{{ way }}' },
      ],
    })
    const [row] = await applyWays(company.deps, files, false)
    await company.control('scan', { configId: row!.remoteId, externalUserId: 'wmNew', name: '顾客 0042' })
    await live(5 * MINUTE_MS)
    const follow = (await client.contacts.get('wmNew'))?.follow_user.find((f) => f.userid === 'guide002')
    expect(follow?.state).toBe('store-001')
    expect(follow?.tags.map((t) => `${t.group_name}/${t.tag_name}`)).toEqual(['来源/门店'])
    expect(follow?.remark).toBe('顾客 0042·门店 001')
    expect(await company.deps.docs.writebacks.count({})).toBe(0)
  })

  it('hands a customer over when WeCom has, and lets the new owner write to her', async () => {
    expect(ownerOf((await profileOf('wm1'))!)?.userId).toBe('guide001')
    await transferCustomers(company.deps, { from: 'guide001', to: 'guide002', kind: 'onjob' })
    await live(26 * HOUR_MS)
    expect((await company.deps.docs.transfers.find({})).map((t) => [t.state, t.to])).toEqual([['done', 'guide002']])
    const profile = (await profileOf('wm1'))!
    expect(profile.contacts.filter((c) => c.endedAt === undefined).map((c) => c.userId)).toEqual(['guide002'])
    expect(ownerOf(profile)?.ownerSince).toEqual(new Date('2026-07-01T00:00:00Z'))
    expect(profile.traits['wecom_owner']?.['wecom']?.value).toBe('guide002')
  })

  it('follows a transfer made elsewhere', async () => {
    await client.transfer.customers({ kind: 'onjob', from: 'guide001', to: 'guide002', externalUserIds: ['wm1'] })
    await live(26 * HOUR_MS)
    expect((await company.deps.docs.transfers.find({})).map((t) => [t.state, t.to])).toEqual([['done', 'guide002']])
    expect(ownerOf((await profileOf('wm1'))!)?.userId).toBe('guide002')
  })
})
