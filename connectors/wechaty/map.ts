import { z } from 'zod'
import {
  type OwnSource,
  type RecordEvent,
  type SourceRecordInput,
  systemEvent,
  type SystemProperties,
} from '../../src/connector.js'
import type { TopicMatcher } from './rules.js'

const Person = z.object({
  contactId: z.string().min(1).max(200),
  isCoworker: z.boolean(),
  name: z.string().optional(),
  externalUserId: z.string().optional(),
  tags: z.array(z.string()).readonly().optional(),
})
const Room = z.object({ id: z.string(), topic: z.string().optional() })
const head = { id: z.string().min(1).max(120), at: z.date(), puppet: z.string(), botId: z.string(), person: Person }

/** What a bot saw, from `src/ports/chat-bot.ts`. */
export const Sighting = z.discriminatedUnion('kind', [
  z.object({
    ...head,
    kind: z.literal('message'),
    from: z.enum(['customer', 'guide']),
    type: z.string(),
    text: z.string(),
    room: Room.optional(),
  }),
  z.object({ ...head, kind: z.literal('friendship'), change: z.enum(['requested', 'added', 'removed']) }),
  z.object({ ...head, kind: z.literal('room'), change: z.enum(['joined', 'left', 'renamed']), room: Room }),
])
export type Sighting = z.infer<typeof Sighting>

/** Names and numbers only: the words themselves are in no event. */
export const CHAT_EVENTS = [
  'chat_message',
  'chat_topic',
  'chat_friend_requested',
  'chat_friend_added',
  'chat_friend_removed',
  'chat_room_joined',
  'chat_room_left',
  'chat_room_renamed',
] as const

/**
 * One sighting as a record of the customer; `undefined` for colleagues. Event ids rest on the sighting's own id, so what
 * is seen twice, late or in another order counts once.
 */
export function sightingToRecord(sighting: Sighting, topicsOf: TopicMatcher): SourceRecordInput | undefined {
  const { id, at, puppet, person } = sighting
  if (person.isCoworker) return undefined
  const ref = `wechaty:${puppet}:${id}`
  const event: Say = (name, key, properties) =>
    systemEvent(name, { id: key === '' ? ref : `${ref}:${key}`, occurredAt: at, properties })
  const topics = sighting.kind === 'message' ? topicsOf(sighting.text, sighting.from) : []
  const last = topics.at(-1)
  return {
    ref,
    source: 'wechaty' satisfies OwnSource,
    observedAt: at,
    identifiers: [
      ...(person.externalUserId === undefined ? [] : [{ type: 'external_userid', value: person.externalUserId }]),
      { type: `wechaty:${puppet}`, value: person.contactId },
    ],
    traits: {
      ...(last !== undefined && { chat_last_topic: last.topic }),
      ...(person.tags !== undefined && {
        chat_tags: person.tags.length === 0 ? null : [...person.tags].sort().join(','),
      }),
    },
    events: eventsOf(sighting, event, topics),
  }
}

/** One of the events, under a key of its own within the sighting. */
type Say = <N extends (typeof CHAT_EVENTS)[number] | 'opted_out'>(
  name: N,
  key: string,
  properties: SystemProperties<N>,
) => RecordEvent

function eventsOf(sighting: Sighting, event: Say, topics: ReturnType<TopicMatcher>): RecordEvent[] {
  const { botId } = sighting
  switch (sighting.kind) {
    case 'message': {
      const { from, type, text, room } = sighting
      const where = { botId, from, ...(room !== undefined && { roomId: room.id }) }
      return [
        event('chat_message', '', { ...where, type, characters: [...text].length, topics: topics.length }),
        ...topics.map(({ topic, intent }) =>
          event('chat_topic', topic, { ...where, topic, ...(intent !== undefined && { intent }) }),
        ),
        ...(topics.some((t) => t.optsOut) ? [event('opted_out', 'wish/opted_out', {})] : []),
      ]
    }
    case 'friendship':
      return [event(`chat_friend_${sighting.change}`, '', { botId })]
    case 'room': {
      const { room, change } = sighting
      return [
        event(`chat_room_${change}`, '', {
          botId,
          roomId: room.id,
          ...(room.topic !== undefined && { roomTopic: room.topic }),
        }),
      ]
    }
  }
}
