import { quickUnitOf } from '../../src/random.js'
import { HOUR_MS, MINUTE_MS } from '../../src/time.js'
import type { Adding } from './agenda.js'
import type { Chats } from './chats.js'
import type { Core } from './core.js'
import type { LifeEvent } from './life.js'
import type { People } from './people.js'
import type { Relations } from './relations.js'
import type { Shop } from './shop.js'

/** Purposes of draws, told apart from those of `people.ts` and `life.ts`. */
const WHICH = 103
const CONFIRMS = 104

/** Where customers do things. */
type Places = Core & { relations: Relations; chats: Chats; shop: Shop }
/** Who does what. */
type Doing = { people: People; customer: number; n: number; externalUserId: string; owner: string; at: Date }

/** Carries out what a customer does. What cannot be (he is nobody's customer any more) does not happen. */
export function live(places: Places, people: People, { customer, kind, n }: LifeEvent, at: Date): void {
  const externalUserId = people.externalUserId(customer)
  const owner = people.members[people.owner(customer)]!.userId
  deeds[kind](places, { people, customer, n, externalUserId, owner, at })
}

const deeds: Record<LifeEvent['kind'], (places: Places, doing: Doing) => void> = {
  arrival: arrive,
  orders({ shop }, { people, customer, n, externalUserId, owner, at }) {
    shop.buy({ externalUserId, userId: owner, amountMinor: people.orderMinor(customer, n) }, n, at)
  },
  edits: edit,
  groupJoins({ seed, chats }, doing) {
    const { people, customer, externalUserId, at } = doing
    const { perMember } = people.settings.groups
    if (perMember === 0) return
    const chatId = people.groupId(people.owner(customer), drawOne(seed, doing, perMember))
    chats.join(chatId, [{ id: externalUserId, type: 2, scene: 3 }], at)
  },
  groupLeaves({ state, chats }, { externalUserId, at }) {
    const chat = state.get<{ chat_id: string }>(
      'SELECT chat_id FROM chat_member WHERE id = ? ORDER BY chat_id LIMIT 1',
      externalUserId,
    )
    if (chat !== undefined) chats.leave(chat.chat_id, [externalUserId], 0, at)
  },
  adds(places, doing) {
    const { userId } = doing.people.members[drawOne(places.seed, doing, doing.people.members.length)]!
    if (places.member(userId) !== undefined) places.relations.add(addingOf(doing, userId), doing.at)
  },
  deletes({ state, relations }, { externalUserId, at }) {
    const relation = state.get<{ user_id: string }>(
      `SELECT user_id FROM relation WHERE external_user_id = ? AND status = 'active' ORDER BY user_id LIMIT 1`,
      externalUserId,
    )
    if (relation !== undefined) relations.delete(relation.user_id, externalUserId, 'customer', at)
  },
  deletedByMember({ relations }, { externalUserId, owner, at }) {
    relations.delete(owner, externalUserId, 'member', at)
  },
}

function arrive({ seed, agenda, relations }: Places, doing: Doing): void {
  const { people, customer, externalUserId, at } = doing
  people.followers(customer).forEach(({ userId }, i) => {
    if (i > 0 || !people.arrivesHalf(customer)) return void relations.add(addingOf(doing, userId), at)
    relations.addHalf(addingOf(doing, userId), at)
    const confirmMs = at.getTime() + 5 * MINUTE_MS + quickUnitOf(seed, CONFIRMS, customer) * 6 * HOUR_MS
    agenda.schedule(new Date(Math.floor(confirmMs)), 'add', `${externalUserId}/${userId}`, addingOf(doing, userId))
  })
}

/** His guide changes the remark, or gives or takes a tag. */
function edit({ seed, relations }: Places, doing: Doing): void {
  const { people, customer, n, externalUserId, owner, at } = doing
  const { tagIds } = people
  const tagId = tagIds[drawOne(seed, doing, tagIds.length * 4) % Math.max(1, tagIds.length)]
  const tags = tagId === undefined ? [] : [tagId]
  const doesWhat = drawOne(seed, doing, 4)
  relations.edit(
    owner,
    externalUserId,
    {
      ...(doesWhat === 3 || tagId === undefined ? { remark: `${people.customer(customer).name} ${n}` } : {}),
      addTags: doesWhat < 2 ? tags : [],
      removeTags: doesWhat === 2 ? tags : [],
    },
    at,
  )
}

function drawOne(seed: number, { customer, n }: Doing, of: number): number {
  return Math.floor(quickUnitOf(seed, WHICH, customer, n) * of)
}

function addingOf({ people, customer, externalUserId }: Doing, userId: string): Adding {
  const channel = people.state(customer)
  const added = { userId, externalUserId, addWay: channel === undefined ? 3 : 1, remarkMobiles: [], tagIds: [] }
  return channel === undefined ? added : { ...added, state: channel }
}
