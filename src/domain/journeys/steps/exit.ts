import { z } from 'zod'
import { common, type StepKind } from './step.js'

const Exit = z.strictObject({ ...common, exit: z.literal(true) })

/** Ends the run, whatever follows. */
export const exit: StepKind<z.infer<typeof Exit>> = {
  schema: Exit,
  words: { zh: '结束', en: 'end the run' },
  parts: () => [],
  refersTo: () => [],
  decide: () => ({ kind: 'end' }),
}
