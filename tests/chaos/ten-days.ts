import { afterEach, describe, expect, it } from '@jest/globals'
import type { FaultInput } from '../../sandbox/http/core/faults.js'
import { type Company, liveTenDays, openCompany, syncWhole } from './company.js'
import { brokenLimits, heldByProfiles, mirrored, owedTags, repeated, shownByApi } from './inspect.js'

/** How many calls or callbacks a trouble befalls. */
export const RATIO = 0.05
const SEED = 20260302
/** Real time. The short one is for a platform that does not answer: its calls go on when ours have ended. */
const TIMEOUT_MS = 10_000
const SHORT_TIMEOUT_MS = 400

export type Trouble = readonly [what: string, faults: readonly FaultInput[]]

/** Suite of a company that lives for ten days, once with each of `troubles`. */
export function describeTenDays(troubles: readonly Trouble[]): void {
  let company: Company
  afterEach(() => company.close())

  describe('ten days of sync, tags and sends', () => {
    it.each(troubles)('with %s', async (what, faults) => {
      const isSilent = faults.some((f) => f.kind === 'timeout')
      company = await openCompany(SEED, isSilent ? SHORT_TIMEOUT_MS : TIMEOUT_MS)
      const { sandbox, app } = company
      for (const fault of faults) sandbox.fault(fault)
      await liveTenDays(company)
      const limits = await brokenLimits(company)
      sandbox.clearFaults()
      await syncWhole(company)
      await company.settle()

      // Nobody was written to twice, and no message was made twice.
      const log = sandbox.log()
      expect(log.length).toBeGreaterThan(100)
      expect(repeated(log.map((m) => `${m.externalUserId} ${m.link?.url ?? `${m.senderUserId}: ${m.text}`}`))).toEqual(
        [],
      )
      // A message that reached somebody is in the ledger, and one that cannot be settled is counted.
      const { dispatches, touches } = app.deps.docs
      const known = new Set((await dispatches.find({ remoteId: { $exists: true } })).map((d) => d.remoteId))
      const unknown = await dispatches.find({ state: 'unknown' })
      const outside = [...new Set(log.filter((m) => m.kind === 'mass').map((m) => m.msgid))].filter(
        (msgid) => !known.has(msgid),
      )
      expect(outside.length).toBeLessThanOrEqual(unknown.length)
      for (const { recipients } of unknown) {
        for (const touch of await touches.getMany(recipients.map((r) => r.touchId)))
          expect(touch.state).not.toBe('planned')
      }
      expect(await dispatches.count({ state: 'sending' })).toBe(0)
      // The state is the world's, as far as the API shows it.
      const shown = await shownByApi(company)
      expect(shown.length).toBeGreaterThan(100)
      expect(await mirrored(company)).toEqual(shown)
      // Every limit was kept but where a fault said otherwise.
      const injected = isSilent || faults.some((f) => f.kind === 'errcode' && f.errcode === 45033)
      if (!injected) expect(limits).toEqual({})
      expect(sandbox.counts().droppedAppMessages).toBe(0)
      // Tags that rules gave are on the customer in WeCom.
      const names = new Map((await app.deps.docs.wecomTags.find({})).map((t) => [t._id, `${t.groupName}/${t.name}`]))
      const owed = await owedTags(company)
      for (const { relation, tags } of shown) {
        const auto = tags
          .split(',')
          .flatMap((id) => names.get(id) ?? [])
          .filter((name) => name.startsWith('自动/') || name.startsWith('兴趣/'))
        if (owed.has(relation)) expect([relation, auto.sort()]).toEqual([relation, owed.get(relation)])
      }
      expect(await heldByProfiles(company)).toEqual(
        (await app.deps.docs.wecomRelations.find({ state: 'active' })).map((r) => r._id).sort(),
      )
      process.stdout.write(
        `  ${what}: ${log.length} messages, ${sandbox.counts().apiCalls} calls, ${sandbox.counts().callbacks.delivered} callbacks, ${unknown.length} unknown; ${JSON.stringify(Object.fromEntries(company.said))}\n`,
      )
    })
  })
}
