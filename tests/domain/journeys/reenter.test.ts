import { expect, it } from '@jest/globals'
import { whyNotAgain } from '../../../src/domain/journeys/reenter.js'
import { DAY_MS } from '../../../src/time.js'

const NOW = new Date('2026-03-20T02:00:00Z')
const run = (daysAgo: number, state = 'ended', moreMs = 0) => ({
  state,
  enteredAt: new Date(NOW.getTime() - daysAgo * DAY_MS + moreMs),
})
const twice = { after: 7 * DAY_MS, max: 2 }

it.each([
  ['who was never in', [], undefined, undefined],
  ['who is in it', [run(9, 'waiting')], twice, 'already_in'],
  ['who is in it, whatever else ended since', [run(9, 'waiting'), run(8)], twice, 'already_in'],
  ['once only', [run(900)], undefined, 'once_only'],
  ['as often as may be', [run(90), run(80)], twice, 'max_entries'],
  ['a moment too soon', [run(7, 'ended', 1)], twice, 'too_soon'],
  ['to the millisecond', [run(7)], twice, undefined],
  ['after the last of them', [run(3), run(90)], { ...twice, max: 3 }, 'too_soon'],
] as const)('%s', (_what, runs, reenter, reason) => {
  expect(whyNotAgain(runs, reenter, NOW)).toBe(reason)
})
