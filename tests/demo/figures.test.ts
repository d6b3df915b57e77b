import { describe, expect, it } from '@jest/globals'
import type { LoggedMessage, SandboxCounts } from '../../sandbox/sandbox.js'
import { checkSandbox } from '../../demo/figures.js'
import { Policy } from '../../src/domain/touches/policy.js'
import { Touch } from '../../src/domain/touches/touch.js'
import { parseInput } from '../../src/parse.js'
import { DAY_MS, HOUR_MS } from '../../src/time.js'

const policy = parseInput(Policy, {
  quietHours: { from: '21:00', to: '09:00' },
  caps: [
    { max: 2, per: '1d' },
    { max: 4, per: '7d' },
  ],
  wecomQuota: { mode: 'month_days' },
  confirmWithin: '3d',
})
const TEN = Date.parse('2011-11-07T10:00:00Z')

/** A touch of person `n` in the ledger, and the message it became. */
function sent(dispatchId: string, n: number, createdMs = TEN, sentMs = createdMs + HOUR_MS) {
  const touch = parseInput(Touch, {
    _id: `run-${n}:${dispatchId}`,
    profileId: n,
    journeyId: 'journey',
    runId: `run-${n}`,
    stepId: '0',
    channel: 'wecom',
    contentId: 'hello',
    state: 'delivered',
    plannedAt: new Date(createdMs),
    releasedAt: new Date(createdMs),
    senderUserId: 'guide-001',
    externalUserId: `customer-${n}`,
    dispatchId,
  })
  return { touch, message: messageOf(dispatchId, n, createdMs, sentMs) }
}

function messageOf(dispatchId: string, n: number, createdMs = TEN, sentMs = createdMs + HOUR_MS): LoggedMessage {
  return {
    messageId: `message-${dispatchId}-${n}`,
    kind: 'mass',
    msgid: `mass-${dispatchId}`,
    senderUserId: 'guide-001',
    externalUserId: `customer-${n}`,
    contentHash: 'hash',
    text: 'Hello',
    link: { title: 'Look', url: `https://shop.example/?m=${dispatchId}` },
    sentAt: new Date(sentMs),
    createdAt: new Date(createdMs),
  }
}

const counts: SandboxCounts = {
  clicks: 0,
  purchases: 0,
  messages: 0,
  cards: 0,
  appMessages: 0,
  droppedAppMessages: 0,
  callbacks: { delivered: 0, waiting: 0, lost: 0 },
  apiCalls: 0,
  confirmedTasks: 0,
  refusedByQuota: 3,
  notAContact: 0,
  reads: 5,
  repliesByKind: { interested: 1, stop: 2, other: 4 },
  pressesByKey: {},
}

function check(log: readonly LoggedMessage[], ledger: readonly Touch[]) {
  const { doubled, withoutTouch, overCap, inQuietHours } = checkSandbox(
    { log: () => log, counts: () => counts },
    ledger,
    policy,
    'Europe/London',
  )
  return { doubled, withoutTouch, overCap, inQuietHours }
}

describe('the check of the platform’s log against the ledger', () => {
  const honest = [sent('a', 1), sent('a', 2), sent('b', 1)]
  const ledger = honest.map(({ touch }) => touch)
  const log = honest.map(({ message }) => message)
  const clean = { doubled: 0, withoutTouch: 0, overCap: 0, inQuietHours: 0 }

  it('finds nothing where every message has its touch', () => {
    expect(check(log, ledger)).toEqual(clean)
  })

  it('takes the platform’s own counts as they are', () => {
    expect(checkSandbox({ log: () => log, counts: () => counts }, ledger, policy, 'Europe/London')).toMatchObject({
      messages: 3,
      refusedByQuota: 3,
      reads: 5,
      replies: 7,
    })
  })

  it.each([
    ['a message that went out twice', [{ ...log[1]!, messageId: 'again' }], { doubled: 1 }],
    ['one that went out three times', [log[1]!, log[1]!], { doubled: 2, overCap: 3 }],
    ['a dispatch that no touch knows', [messageOf('z', 2)], { withoutTouch: 1 }],
    ['a dispatch sent to somebody else', [messageOf('b', 2)], { withoutTouch: 1 }],
    ['a message without a link', [{ ...messageOf('a', 3), link: undefined }], { withoutTouch: 1 }],
  ])('finds %s', (_what, more, found) => {
    expect(check([...log, ...(more as LoggedMessage[])], ledger)).toEqual({ ...clean, ...found })
  })

  it('finds a message whose touch is missing from the ledger', () => {
    expect(check(log, ledger.slice(1))).toEqual({ ...clean, withoutTouch: 1 })
  })

  it.each([
    ['a third message within a day', [0, 1, 23.9], 1],
    ['none, when the third comes a day later', [0, 1, 24], 0],
    ['a fifth message within seven days', [0, 25, 50, 75, 167.9], 1],
    ['none, when the fifth comes seven days later', [0, 25, 50, 75, 168], 0],
  ])('counts over the cap: %s', (_what, atHours, overCap) => {
    // At night as well, so that only the caps speak here.
    const all = atHours.map((h, i) => sent(`d${i}`, 1, TEN + h * HOUR_MS))
    const found = check(
      all.map(({ message }) => message),
      all.map(({ touch }) => touch),
    )
    expect(found).toMatchObject({ doubled: 0, withoutTouch: 0, overCap })
  })

  it('does not hold it against the ledger that a guide presses send on everything at once', () => {
    const all = [0, 1, 2].map((day) => sent(`d${day}`, 1, TEN + day * DAY_MS, TEN + 3 * DAY_MS))
    const found = check(
      all.map(({ message }) => message),
      all.map(({ touch }) => touch),
    )
    expect(found).toEqual(clean)
  })

  it.each([
    ['handed over at 20:59', '20:59', '20:59', 0],
    ['handed over at 21:00', '21:00', '09:00', 1],
    ['handed over by day, out at 21:00', '20:00', '21:00', 1],
    ['handed over at 08:59, out by day', '08:59', '09:00', 1],
    ['handed over at 09:00', '09:00', '09:00', 0],
  ])('counts quiet hours: %s', (_what, createdAt, sentAt, inQuietHours) => {
    const at = (time: string) => Date.parse(`2011-11-07T${time}:00Z`)
    const { touch, message } = sent('a', 1, at(createdAt), at(sentAt))
    expect(check([message], [touch])).toEqual({ ...clean, inQuietHours })
  })
})
