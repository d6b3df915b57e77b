import { z } from 'zod'
import { said } from '../../../said.js'
import { traitMistakes } from '../../rules/known.js'
import { common, type TagKind } from './kind.js'

const TextTag = z.strictObject({
  ...common,
  type: z.literal('text'),
  trait: z.string().describe(said('显示哪个特征的值', 'the trait whose value it shows')),
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
  values: () => 'text',
  lint: ({ trait }, known) => traitMistakes(trait, ['trait'], known),
  asked: (tag) => [{ rule: { trait: tag.trait } }],
  writeback: () => [],
}
