import { z } from 'zod'
import { said } from '../../../said.js'
import { DurationMs } from '../../../parse.js'
import { LocalText } from '../../local-text.js'
import { common, type StepKind } from './step.js'

const Task = z.strictObject({
  ...common,
  task: z.strictObject({
    title: LocalText,
    script: z
      .string()
      .describe(said('config/content 里的 id：导购可用的话术', 'id in config/content: the words the guide may use')),
    due: DurationMs.describe(said('从现在起多久内完成', 'from now until it should be done')),
  }),
})

/** Plans a card to the guide. */
export const task: StepKind<z.infer<typeof Task>> = {
  schema: Task,
  words: { zh: '导购任务', en: 'a task for the guide' },
  parts: () => [],
  refersTo: (step) => [{ kind: 'content', name: step.task.script, path: ['task', 'script'] }],
  decide: (step, { stepId, then }) => ({ kind: 'task', stepId, step, then }),
}
