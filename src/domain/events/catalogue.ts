import { z } from 'zod'
import { LocalText } from '../local-text.js'

/** `config/events.yaml`: the events that rules may name, so that a misspelt one is found before it is published. */
export const EventCatalogue = z.strictObject({
  events: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z][a-z0-9_]*$/),
        label: LocalText,
        description: z.string().optional(),
      }),
    )
    .min(1),
})

/** Events that our own services write; they need no entry in the catalogue. */
export const SYSTEM_EVENTS = [
  'journey_entered',
  'touch_delivered',
  'contact_added',
  'contact_half_added',
  'contact_edited',
  'contact_deleted',
  'contact_transferred',
  'owner_changed',
  'contact_transfer_failed',
  'wecom_tags_changed',
  'group_joined',
  'group_left',
  'acquisition_chat_started',
  'card_pressed',
  'menu_clicked',
  'guide_contacted',
  'customer_interested',
  'opted_out',
  'opted_in',
  'chat_message',
  'chat_topic',
  'chat_friend_requested',
  'chat_friend_added',
  'chat_friend_removed',
  'chat_room_joined',
  'chat_room_left',
  'chat_room_renamed',
] as const
