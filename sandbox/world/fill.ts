import { hashKey } from '../../src/random.js'
import { DAY_MS } from '../../src/time.js'
import type { State } from '../state.js'
import type { People } from './people.js'

/** Customers written in one go. */
const CHUNK = 10_000

const CONTACT = 'contact (external_user_id, union_id, name, gender)'
const RELATION = 'relation (user_id, external_user_id, status, created_ms, last_ms, add_way, state, remark)'
const TAG = 'relation_tag (user_id, external_user_id, tag_id)'
const CHAT = 'chat (chat_id, owner, name, notice, created_ms, member_version)'
const CHAT_MEMBER = 'chat_member (chat_id, id, type, join_ms, join_scene)'
const CHAT_MOVE = 'chat_move (chat_id, at_ms, id, type, joined)'

/** Page 92114: scanned a QR code; name card. */
const BY_CODE = 1
const BY_CARD = 3

/**
 * Writes a population's first day: who has whom, with which tags, in which groups. Rows come in the order of the keys,
 * and the indexes across it are built at the end.
 */
export function fillPopulation(state: State, people: People): void {
  state.exec('DROP INDEX relation_contact; DROP INDEX chat_member_id')
  fillChats(state, people)
  for (let from = 0; from < people.customers; from += CHUNK)
    fillCustomers(state, people, from, Math.min(from + CHUNK, people.customers))
  state.exec(
    'CREATE INDEX relation_contact ON relation (external_user_id); CREATE INDEX chat_member_id ON chat_member (id)',
  )
}

function fillCustomers(state: State, people: People, from: number, to: number): void {
  type Rows = (string | number | null)[][]
  const contacts: Rows = []
  const relations: Rows = []
  const tags: Rows = []
  const joined: Rows = []
  const moves: Rows = []
  for (let c = from; c < to; c++) {
    const { externalUserId, unionId, name, gender } = people.customer(c)
    contacts.push([externalUserId, unionId ?? null, name, gender])
    if (people.arrivesLater(c)) continue
    const addedMs = people.addedAtMs(c)
    const channel = people.state(c) ?? null
    const tagIds = people.tagsOf(c)
    for (const { userId } of people.followers(c)) {
      const addWay = channel === null ? BY_CARD : BY_CODE
      relations.push([userId, externalUserId, 'active', addedMs, addedMs, addWay, channel, name])
      for (const tagId of tagIds) tags.push([userId, externalUserId, tagId])
    }
    const chatId = people.groupOf(c)
    if (chatId === undefined) continue
    joined.push([chatId, externalUserId, 2, addedMs, 3])
    moves.push([chatId, addedMs, externalUserId, 2, 1])
  }
  state.insertAll(CONTACT, contacts)
  state.insertAll(RELATION, relations)
  state.insertAll(TAG, tags)
  state.insertAll(CHAT_MEMBER, joined)
  state.insertAll(CHAT_MOVE, moves)
}

/** Every group is older than all who are in it. */
function fillChats(state: State, people: People): void {
  const { addedOverDays, groups } = people.settings
  const createdMs = people.startAt.getTime() - Math.ceil(addedOverDays + 2) * DAY_MS
  people.members.forEach(({ userId, name }, i) => {
    for (let n = 0; n < groups.perMember; n++) {
      const chatId = people.groupId(i, n)
      const version = hashKey(32, 'member-version', chatId, '', createdMs)
      state.append(CHAT, [chatId, userId, `${name} 会员群 ${n + 1}`, '', createdMs, version])
      state.append(CHAT_MEMBER, [chatId, userId, 1, createdMs, 1])
    }
  })
  state.flush()
}
