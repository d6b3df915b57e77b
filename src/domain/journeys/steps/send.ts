import { z } from 'zod'
import { common, type StepKind } from './step.js'

const Send = z.strictObject({
  ...common,
  send: z.strictObject({
    channel: z
      .enum(['wecom', 'coupon'])
      .describe('wecom: a mass message the guide confirms; coupon: a code, handed over by the guide'),
    content: z.string().describe('id in config/content'),
  }),
})

/** Plans a touch. */
export const send: StepKind<z.infer<typeof Send>> = {
  schema: Send,
  words: { zh: '发送', en: 'send a content' },
  parts: () => [],
  refersTo: (step) => [{ kind: 'content', name: step.send.content, path: ['send', 'content'] }],
  decide: ({ send: { channel, content } }, { stepId, then }) => ({
    kind: 'send',
    stepId,
    channel,
    contentId: content,
    then,
  }),
}
