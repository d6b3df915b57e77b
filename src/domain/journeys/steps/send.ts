import { z } from 'zod'
import { said, sentencesOf } from '../../../said.js'
import { channelKinds, stepChannels } from '../../touches/channels.js'
import { common, type StepKind } from './step.js'

// Those that steps may name have it.
const channelsIn = (language: 'zh' | 'en', is: string, between: string) =>
  stepChannels.map((name) => `${name}${is}${sentencesOf(channelKinds[name].inSteps!)[language]}`).join(between)

const Send = z.strictObject({
  ...common,
  send: z.strictObject({
    channel: z.enum(stepChannels).describe(said(channelsIn('zh', '：', '；'), channelsIn('en', ': ', '; '))),
    content: z.string().describe(said('config/content 里的 id', 'id in config/content')),
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
