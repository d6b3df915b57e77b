import { EventCatalogue } from '../../../domain/events/catalogue.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** The catalogue of events that rules may name: one file. */
export const events = {
  words: { zh: '事件', en: 'events' },
  schema: EventCatalogue,
  schemaName: 'events',
  folder: { setting: 'events', holds: 'file' },
  provides: {
    kind: 'event',
    names: (file) => file.events.map(({ name }, i) => ({ name, path: ['events', i, 'name'] })),
  },
  references: () => [],
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof EventCatalogue>
