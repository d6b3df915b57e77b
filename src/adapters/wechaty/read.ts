import type { Contact, Friendship, Message, Room, Wechaty } from 'wechaty'
import { hashKey } from '../../random.js'
import type { ChatPerson, ChatRoom, ChatSighting } from '../../ports/chat-bot.js'

type Head = Pick<ChatSighting, 'at' | 'puppet' | 'botId'>

/** By the numbers of `MessageType`; others are `other`. */
const MESSAGE_TYPES: Readonly<Record<number, string>> = {
  1: 'file',
  2: 'voice',
  3: 'card',
  4: 'history',
  5: 'sticker',
  6: 'image',
  7: 'text',
  8: 'location',
  9: 'mini_program',
  11: 'transfer',
  12: 'red_packet',
  13: 'recalled',
  14: 'link',
  15: 'video',
}
/** `FriendshipType`; 4 and 5 are the fork's. */
const FRIENDSHIPS: Readonly<Record<number, 'requested' | 'added' | 'removed'>> = {
  1: 'added',
  2: 'requested',
  3: 'requested',
  4: 'removed',
  5: 'removed',
}
const WECOM_ID = /^w[mo][A-Za-z0-9_-]{4,}$/
const MAX_KNOWN = 10_000

export interface BotReader {
  /** What was said; `undefined` for what concerns no customer. */
  message(message: Message): Promise<ChatSighting | undefined>
  friendship(friendship: Friendship, at: Date): Promise<ChatSighting | undefined>
  room(change: 'joined' | 'left' | 'renamed', room: Room, people: readonly Contact[], at: Date): Promise<ChatSighting[]>
}

/** Reads a bot's objects into plain sightings. */
export function createBotReader(bot: Wechaty): BotReader {
  const puppet = shortName(bot.puppet.name())
  const externalIds = new Map<string, string | undefined>()
  const headOf = (at: Date): Head => ({ at, puppet, botId: bot.isLoggedIn ? bot.currentUser.id : '' })

  async function personOf(contact: Contact): Promise<ChatPerson> {
    const externalUserId = await externalIdOf(contact)
    const tags = await contact.tags()
    return {
      contactId: contact.id,
      isCoworker: contact.self() || contact.coworker() === true,
      ...(contact.name() !== '' && { name: contact.name() }),
      ...(externalUserId !== undefined && { externalUserId }),
      ...(tags.length > 0 && { tags: tags.map(tagName) }),
    }
  }

  /** The bridge to the official API: an id of WeCom's own, or what the vendor's fork looks up. */
  async function externalIdOf(contact: Contact): Promise<string | undefined> {
    const known = [contact.id, contact.handle()].find((id) => id !== undefined && WECOM_ID.test(id))
    if (known !== undefined) return known
    if (externalIds.has(contact.id)) return externalIds.get(contact.id)
    const { Wecom } = bot as { Wecom?: { getExternalUserId(ids: string[]): Promise<{ externalUserId?: string }[]> } }
    const [found] = Wecom === undefined ? [] : await Wecom.getExternalUserId([contact.id])
    if (externalIds.size >= MAX_KNOWN) externalIds.delete(externalIds.keys().next().value!)
    externalIds.set(contact.id, found?.externalUserId || undefined)
    return found?.externalUserId || undefined
  }

  return {
    async message(message) {
      const [talker, listener, room] = [message.talker(), message.listener(), message.room()]
      const isOurs = message.self() || talker.coworker() === true
      // In a room nobody in particular is spoken to.
      const customer = isOurs ? (room === undefined ? listener : undefined) : talker
      if (customer === undefined) return undefined
      const type = MESSAGE_TYPES[message.type()] ?? 'other'
      return {
        ...headOf(message.date()),
        id: message.id,
        kind: 'message',
        person: await personOf(customer),
        from: isOurs ? 'guide' : 'customer',
        type,
        text: type === 'text' ? message.text() : '',
        ...(room !== undefined && { room: await roomOf(room) }),
      }
    },
    async friendship(friendship, at) {
      const change = FRIENDSHIPS[friendship.type()]
      if (change === undefined) return undefined
      const head = { ...headOf(at), id: `friend:${friendship.id}` }
      return { ...head, kind: 'friendship', person: await personOf(friendship.contact()), change }
    },
    async room(change, room, people, at) {
      const seen = await roomOf(room)
      return Promise.all(
        people.map(async (contact): Promise<ChatSighting> => {
          const id = `room:${hashKey(24, room.id, contact.id, change, at.getTime())}`
          return { ...headOf(at), id, kind: 'room', person: await personOf(contact), change, room: seen }
        }),
      )
    },
  }
}

async function roomOf(room: Room): Promise<ChatRoom> {
  const topic = await room.topic()
  return { id: room.id, ...(topic !== '' && { topic }) }
}

/** The community's tags have an id only, the fork's a name. */
function tagName(tag: { id?: string; name?: unknown }): string {
  const name: unknown = typeof tag.name === 'function' ? (tag.name as () => unknown)() : undefined
  return typeof name === 'string' && name !== '' ? name : (tag.id ?? '')
}

/** `wechaty-puppet-service<…>` as `service`: letters, digits, _ and - only, as identifier types want. */
function shortName(name: string): string {
  const short = name
    .replace(/<.*$/s, '')
    .replace(/^.*puppet-/, '')
    .replace(/[^A-Za-z0-9_-]/g, '')
  return short === '' ? 'puppet' : short
}
