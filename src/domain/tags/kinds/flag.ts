import { z } from 'zod'
import { said } from '../../../said.js'
import { ABSENT, constant } from '../../rules/comparisons.js'
import type { Bool, Text } from '../../rules/expression.js'
import { FLAG_SET } from '../../rules/known.js'
import { Rule } from '../../rules/rule.js'
import { common, type TagKind } from './kind.js'

const FlagTag = z.strictObject({
  ...common,
  type: z.literal('flag'),
  when: Rule,
  writeback: z
    .string()
    // Names in WeCom have at most 30 characters.
    .regex(
      /^[^/]{1,30}\/[^/]{1,30}$/,
      said('写成 <标签组>/<标签名>，各最多 30 个字符', 'write it as <group>/<name>, each at most 30 characters'),
    )
    .describe(
      said(
        '有这个标签的客户打上的企业标签：<标签组>/<标签名>',
        'corp tag in WeCom that is put on customers who have this tag: <group>/<name>',
      ),
    )
    .optional(),
})

/** Set where a rule holds. */
export const flag: TagKind<typeof FlagTag> = {
  schema: FlagTag,
  words: { zh: '是否', en: 'yes or not' },
  say: (_value, words) => words('是', 'yes'),
  rules: (tag) => [{ rule: tag.when, path: ['when'] }],
  refersTo: () => [],
  edges: () => [],
  countedFrom: () => undefined,
  value: (tag, build) => flagText(build.test(tag.when)),
  values: () => [FLAG_SET],
  lint: () => [],
  asked: (tag) => [{ rule: tag.when }],
  writeback({ writeback }) {
    if (writeback === undefined) return []
    const [group = '', name = ''] = writeback.split('/')
    return [{ value: FLAG_SET, target: { group, name } }]
  },
}

export function flagText(when: Bool): Text {
  return { text: 'choice', cases: [{ when, value: constant(FLAG_SET) }], otherwise: ABSENT }
}
