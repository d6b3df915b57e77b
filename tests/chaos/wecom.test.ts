import { afterEach, describe, expect, it } from '@jest/globals'
import type { FaultInput } from '../../sandbox/http/core/faults.js'
import { type Company, liveTenDays, openCompany, syncWhole } from './company.js'
import { brokenLimits, heldByProfiles, mirrored, owedTags, repeated, shownByApi } from './inspect.js'

const RATIO = 0.05
const SEED = 20260302
/** Real time. The short one is for a platform that does not answer: its calls go on when ours have ended. */
const TIMEOUT_MS = 10_000
const SHORT_TIMEOUT_MS = 400

/** Each trouble alone, for ten days, and at the end all of them together. */
const TROUBLES: readonly (readonly [string, readonly FaultInput[]])[] = [
  ['no trouble', []],
  ['errors: busy', [{ kind: 'errcode', errcode: -1, ratio: RATIO }]],
  ['errors: token expired', [{ kind: 'errcode', errcode: 42001, path: '/cgi-bin/externalcontact/*', ratio: RATIO }]],
  ['errors: too many at once', [{ kind: 'errcode', errcode: 45033, ratio: RATIO }]],
  ['time-outs', [{ kind: 'timeout', ratio: RATIO }]],
  ['replies lost after success', [{ kind: 'lost_reply', ratio: RATIO }]],
  ['slow replies', [{ kind: 'slow', ms: 100, ratio: RATIO }]],
  ['truncated JSON', [{ kind: 'truncated', ratio: RATIO }]],
  ['warnings of malformed JSON', [{ kind: 'malformed_json_warning', ratio: RATIO }]],
  ['HTML from a proxy', [{ kind: 'html', ratio: RATIO }]],
  ['connections reset', [{ kind: 'reset', ratio: RATIO }]],
  ['doubled callbacks', [{ kind: 'callback_duplicate', ratio: RATIO }]],
  ['reordered callbacks', [{ kind: 'callback_reorder', ratio: RATIO }]],
  ['lost callbacks', [{ kind: 'callback_drop', ratio: RATIO }]],
  ['a platform 30 s ahead', [{ kind: 'clock_skew', ms: 30_000 }]],
  ['a platform 30 s behind', [{ kind: 'clock_skew', ms: -30_000 }]],
  [
    'all of them',
    [
      { kind: 'errcode', errcode: -1, ratio: RATIO },
      { kind: 'timeout', ratio: RATIO },
      { kind: 'lost_reply', ratio: RATIO },
      { kind: 'truncated', ratio: RATIO },
      { kind: 'malformed_json_warning', ratio: RATIO },
      { kind: 'html', ratio: RATIO },
      { kind: 'reset', ratio: RATIO },
      { kind: 'callback_duplicate', ratio: RATIO },
      { kind: 'callback_reorder', ratio: RATIO },
      { kind: 'callback_drop', ratio: RATIO },
      { kind: 'clock_skew', ms: 30_000 },
    ],
  ],
]

let company: Company
afterEach(() => company.close())

describe('ten days of sync, tags and sends', () => {
  it.each(TROUBLES)('with %s', async (what, faults) => {
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
    expect(repeated(log.map((m) => `${m.externalUserId} ${m.link?.url ?? `${m.senderUserId}: ${m.text}`}`))).toEqual([])
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
