import { z } from 'zod'
import { common, type TagKind } from './kind.js'

const TextTag = z.strictObject({
  ...common,
  type: z.literal('text'),
  trait: z.string().describe('the trait whose value it shows'),
})

/** What a trait says. */
export const text: TagKind<typeof TextTag> = {
  schema: TextTag,
  words: { zh: '文本', en: 'the text of a trait' },
  say: (value) => value,
  rules: () => [],
  refersTo: (tag) => [{ kind: 'trait', name: tag.trait, path: ['trait'] }],
  edges: () => [],
  countedFrom: () => undefined,
  value: (tag, build) => build.trait(tag.trait),
  lint: () => [],
  asked: (tag) => [{ rule: { trait: tag.trait } }],
  writeback: () => [],
}
