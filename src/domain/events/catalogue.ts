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
