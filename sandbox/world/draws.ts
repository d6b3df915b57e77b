import { unitOf } from '../../src/random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/time.js'
import type { Scenario, ScenarioMember } from '../scenario.js'
import { addOpenMs } from './calendar.js'

/**
 * What people do. Every draw hashes (seed, purpose, who, what it is about), never an id handed out in order, so that a
 * repeated run, or one that was killed and went on, sees the same people.
 */

/** When a member gets to something that reached her at `at`; `undefined` when she never does. `purpose` and `about` make the draw. */
export function drawHandledAt(
  seed: number,
  member: ScenarioMember,
  timeZone: string,
  purpose: string,
  about: string,
  at: Date,
): Date | undefined {
  const [from, to] = member.workHours
  const hours = { from, to, timeZone: member.timeZone ?? timeZone }
  const share = unitOf(seed, purpose, member.userId, about)
  const within = unitOf(seed, `${purpose}-delay`, member.userId, about)
  const { confirmAtOnce, confirmLate } = member.diligence
  const { absentRatio, userId } = member
  // A day off is a draw of its own; nobody is away so long that the search for a day would not end.
  const isAway = (day: number) => absentRatio > 0 && unitOf(seed, 'absent', userId, day) < Math.min(absentRatio, 0.9)
  if (share < confirmAtOnce) return addOpenMs(at, MINUTE_MS + within * 19 * MINUTE_MS, hours, isAway)
  if (share < confirmAtOnce + confirmLate) return addOpenMs(at, 2 * HOUR_MS + within * 20 * HOUR_MS, hours, isAway)
  return undefined
}

/** When a member sends the next mass message of her own: on average so many a month, within her hours. */
export function drawOwnSendAt(seed: number, member: ScenarioMember, timeZone: string, n: number, after: Date): Date {
  const [from, to] = member.workHours
  const waitMs =
    -Math.log(1 - unitOf(seed, 'own-send-at', member.userId, n)) * ((30 * DAY_MS) / member.ownSendsPerMonth)
  return addOpenMs(new Date(after.getTime() + waitMs), MINUTE_MS, { from, to, timeZone: member.timeZone ?? timeZone })
}

/** Below her `ownSendRatio` the customer gets it. */
export function drawOwnSend(seed: number, userId: string, externalUserId: string, n: number): number {
  return unitOf(seed, 'own-send', userId, externalUserId, n)
}

/** When the customer reads a message; `undefined` when never. */
export function drawReadAt(
  seed: number,
  scenario: Scenario,
  externalUserId: string,
  about: string,
  at: Date,
): Date | undefined {
  if (unitOf(seed, 'read', externalUserId, about) >= scenario.habits.readRatio) return undefined
  const within = unitOf(seed, 'read-delay', externalUserId, about)
  return addOpenMs(at, MINUTE_MS + within * within * 8 * HOUR_MS, wakingHoursOf(scenario))
}

/** A message that lay unread for longer sells nothing. */
const IN_TIME_MS = DAY_MS

/**
 * Whether a customer who reads a message now clicks its link (within five minutes), and whether it makes him buy
 * something that he would not have bought (within two days, in `buyRatio` of the messages read in time).
 */
export function drawPurchase(
  seed: number,
  scenario: Scenario,
  externalUserId: string,
  about: string,
  sentAt: Date,
  at: Date,
): { clickAt: Date | undefined; buyAt: Date | undefined } {
  const { clickRatio, buyRatio } = scenario.habits
  const happens = (purpose: string, ratio: number) => ratio > 0 && unitOf(seed, purpose, externalUserId, about) < ratio
  const within = (purpose: string, ms: number) =>
    addOpenMs(at, SECOND_MS + unitOf(seed, purpose, externalUserId, about) * ms, wakingHoursOf(scenario))
  const inTime = at.getTime() - sentAt.getTime() < IN_TIME_MS
  return {
    clickAt: happens('click', clickRatio) ? within('click-delay', 5 * MINUTE_MS) : undefined,
    buyAt: inTime && happens('buy', buyRatio) ? within('buy-delay', 28 * HOUR_MS) : undefined,
  }
}

/** What such a purchase is worth: around the mean, from half of it to one and a half. */
export function drawAmountMinor(seed: number, meanMinor: number, externalUserId: string, about: string): number {
  return Math.max(1, Math.round(meanMinor * (0.5 + unitOf(seed, 'amount', externalUserId, about))))
}

export type Reaction = { kind: 'reply'; reply: ReplyKind; at: Date } | { kind: 'delete'; at: Date }
export type ReplyKind = 'interested' | 'stop' | 'other'

/** What a customer who has just read a message does about it; `undefined` when nothing. */
export function drawReaction(
  seed: number,
  scenario: Scenario,
  externalUserId: string,
  about: string,
  at: Date,
): Reaction | undefined {
  const { replyRatio, deleteRatio } = scenario.habits
  const share = unitOf(seed, 'react', externalUserId, about)
  const within = unitOf(seed, 'react-delay', externalUserId, about)
  const reactsAt = addOpenMs(at, MINUTE_MS + within * 2 * HOUR_MS, wakingHoursOf(scenario))
  if (share < deleteRatio) return { kind: 'delete', at: reactsAt }
  if (share >= deleteRatio + replyRatio) return undefined
  return { kind: 'reply', reply: drawMood(seed, scenario, 'mood', externalUserId, about), at: reactsAt }
}

/**
 * The button a guide presses after she contacted her customer. The world knows the keys `done`, `interested` and `stop`,
 * alone or before a colon (`done:42`); a card that offers none of them gets its first button pressed.
 */
export function drawButton(
  seed: number,
  scenario: Scenario,
  userId: string,
  taskId: string,
  keys: readonly string[],
): string | undefined {
  const mood = drawMood(seed, scenario, 'button', userId, taskId)
  const wanted = mood === 'other' ? 'done' : mood
  const offered = (word: string) => keys.find((key) => key === word || key.startsWith(`${word}:`))
  return offered(wanted) ?? offered('done') ?? keys[0]
}

function drawMood(seed: number, { habits }: Scenario, purpose: string, who: string, about: string): ReplyKind {
  const share = unitOf(seed, purpose, who, about)
  if (share < habits.stopRatio) return 'stop'
  return share < habits.stopRatio + habits.interestedRatio ? 'interested' : 'other'
}

export function wakingHoursOf({ habits, timeZone }: Scenario): { from: string; to: string; timeZone: string } {
  const [from, to] = habits.wakingHours
  return { from, to, timeZone }
}
