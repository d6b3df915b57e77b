import { EventCatalogue } from '../../../domain/events/catalogue.js'
import { systemEvents } from '../../../domain/events/system-events.js'
import { said } from '../../../said.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** The catalogue of events that rules may name: one file. */
export const events = {
  words: { zh: '事件', en: 'events' },
  schema: EventCatalogue,
  schemaName: 'events',
  folder: { setting: 'events', holds: 'file' },
  provides: { kind: 'event', at: ['events', '*', 'name'] },
  references: () => [],
  lint: (file) =>
    file.events.flatMap(({ name }, i) =>
      Object.hasOwn(systemEvents, name)
        ? [
            {
              path: ['events', i, 'name'],
              message: said(`"${name}" 是系统事件，只由 siyu 自己写`, `"${name}" is an event that siyu itself writes`),
              hint: said(
                `删掉这一行：规则里可以直接用；自己的事件换个名字，如 shop_${name}`,
                `remove it: rules may name it as it is; an event of yours needs another name, e.g. shop_${name}`,
              ),
            },
          ]
        : [],
    ),
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof EventCatalogue>
