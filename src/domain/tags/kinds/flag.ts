import { z } from 'zod'
import { ABSENT, constant } from '../../rules/comparisons.js'
import type { Bool, Text } from '../../rules/expression.js'
import { Rule } from '../../rules/rule.js'
import { common, type TagKind } from './kind.js'

const FlagTag = z.strictObject({
  ...common,
  type: z.literal('flag'),
  when: Rule,
  writeback: z
    .string()
    // Names in WeCom have at most 30 characters.
    .regex(/^[^/]{1,30}\/[^/]{1,30}$/, 'write it as <group>/<name>, each at most 30 characters')
    .describe('corp tag in WeCom that is put on customers who have this tag: <group>/<name>')
    .optional(),
})

/** Set where a rule holds. */
export const flag: TagKind<typeof FlagTag> = {
  schema: FlagTag,
  words: { zh: '是否', en: 'yes or not' },
  say: () => '是 yes',
  rules: (tag) => [{ rule: tag.when, path: ['when'] }],
  refersTo: () => [],
  edges: () => [],
  countedFrom: () => undefined,
  value: (tag, build) => flagText(build.test(tag.when)),
  lint: () => [],
  asked: (tag) => [{ rule: tag.when }],
  writeback({ writeback }) {
    if (writeback === undefined) return []
    const [group = '', name = ''] = writeback.split('/')
    return [{ value: '1', target: { group, name } }]
  },
}

export function flagText(when: Bool): Text {
  return { text: 'choice', cases: [{ when, value: constant('1') }], otherwise: ABSENT }
}
