import type { RecordEvent, SourceRecordInput } from '../events/record.js'
import type { OwnSource } from '../events/sources.js'
import { systemEvent, type SystemEventName, type SystemProperties } from '../events/system-events.js'
import type { WecomEvent } from './event.js'

type Said = { identifiers: SourceRecordInput['identifiers']; events: RecordEvent[] }

/**
 * What a callback says of a person, as a record; `undefined` when it says nothing of anybody. Event ids rest on the
 * content, so a repeated delivery counts once. Members are identified by `wecom_userid`, which makes profiles of them only
 * where `config/identity.yaml` lists that type.
 *
 * @param now - when it was received
 */
export function eventRecord(event: WecomEvent, now: Date): SourceRecordInput | undefined {
  const said = sayings(event)
  const [first] = said?.events ?? []
  if (said === undefined || first === undefined) return undefined
  return { ref: first.id, source: 'wecom' satisfies OwnSource, observedAt: now, ...said }
}

function sayings(event: WecomEvent): Said | undefined {
  const unix = event.at.getTime() / 1000
  const of = <N extends SystemEventName>(id: string, name: N, properties: SystemProperties<N>): RecordEvent =>
    systemEvent(name, { id: `wecom:${id}:${unix}`, occurredAt: event.at, properties })
  switch (event.kind) {
    case 'contact': {
      const { userId, externalUserId, state } = event
      const properties = { userId, externalUserId, ...(state !== undefined && { state }) }
      const pair = `${externalUserId}:${userId}`
      // An added one's event comes with the contact itself.
      if (event.why === 'half_added')
        return customer(externalUserId, [of(`half:${pair}`, 'contact_half_added', properties)])
      if (event.why === 'edited') return customer(externalUserId, [of(`edit:${pair}`, 'contact_edited', properties)])
      return undefined
    }
    case 'contact_lost': {
      const { userId, externalUserId, by } = event
      const pair = `${externalUserId}:${userId}`
      const lost = of(`del:${pair}:${by}`, 'contact_deleted', { userId, externalUserId, by })
      return customer(
        externalUserId,
        by === 'transfer' ? [lost, of(`transfer:${pair}`, 'contact_transferred', { fromUserId: userId })] : [lost],
      )
    }
    case 'transfer_failed': {
      const { userId, externalUserId, reason } = event
      const failed = of(`transfer-fail:${externalUserId}:${userId}`, 'contact_transfer_failed', { userId, reason })
      return customer(externalUserId, [failed])
    }
    case 'acquisition': {
      const { externalUserId, userId, change } = event
      if (externalUserId === undefined || change !== 'customer_start_chat') return undefined
      const began = of(`chat:${externalUserId}:${userId ?? ''}`, 'acquisition_chat_started', { userId })
      return customer(externalUserId, [began])
    }
    case 'card': {
      const { userId, taskId, key, selected } = event
      return member(userId, [of(`card:${userId}:${taskId}:${key}`, 'card_pressed', { taskId, key, selected })])
    }
    case 'menu':
      return member(event.userId, [of(`menu:${event.userId}:${event.key}`, 'menu_clicked', { key: event.key })])
    case 'group':
    case 'tags':
    case 'member':
    case 'department':
    case 'other':
      return undefined
  }
}

function customer(externalUserId: string, events: RecordEvent[]): Said {
  return { identifiers: [{ type: 'external_userid', value: externalUserId }], events }
}

function member(userId: string, events: RecordEvent[]): Said {
  return { identifiers: [{ type: 'wecom_userid', value: userId }], events }
}
