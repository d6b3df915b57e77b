import type { RecordEvent } from '../../domain/events/record.js'
import type { OwnSource } from '../../domain/events/sources.js'
import type { InboxRecord } from '../../domain/identity/resolve.js'

/** Something our own services did to a profile, on the same road as every event from outside. */
export function systemRecord(profileId: number, at: Date, event: RecordEvent): InboxRecord {
  const source: OwnSource = 'siyu'
  return { ref: event.id, source, observedAt: at, profileId, identifiers: [], traits: {}, events: [event] }
}
