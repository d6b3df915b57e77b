import { unitOf } from '../../src/random.js'
import { HOUR_MS, MINUTE_MS } from '../../src/time.js'
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
  if (share < confirmAtOnce) return addOpenMs(at, MINUTE_MS + within * 19 * MINUTE_MS, hours)
  if (share < confirmAtOnce + confirmLate) return addOpenMs(at, 2 * HOUR_MS + within * 20 * HOUR_MS, hours)
  return undefined
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
  return addOpenMs(at, MINUTE_MS + within * within * 8 * HOUR_MS, wakingHours(scenario))
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
  const reactsAt = addOpenMs(at, MINUTE_MS + within * 2 * HOUR_MS, wakingHours(scenario))
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

function wakingHours({ habits, timeZone }: Scenario): { from: string; to: string; timeZone: string } {
  const [from, to] = habits.wakingHours
  return { from, to, timeZone }
}
