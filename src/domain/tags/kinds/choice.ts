import { z } from 'zod'
import { said } from '../../../said.js'
import { LocalText, textOf } from '../../local-text.js'
import { ABSENT, constant } from '../../rules/comparisons.js'
import { Rule } from '../../rules/rule.js'
import { common, type TagKind } from './kind.js'

/** The corp tags of a choice carry the names of its cases. */
export const WritebackGroup = z
  .string()
  .regex(
    /^[^/]{1,30}$/,
    said(
      '写标签组的名称，最多 30 个字符；各个值的名称就是标签名',
      "write it as <group>, at most 30 characters; the cases' names are the tags",
    ),
  )
  .describe(
    said(
      '企业标签组；客户打上与当前值同名的标签',
      "group of corp tags in WeCom; the customer gets the one with the case's name",
    ),
  )

const ChoiceTag = z.strictObject({
  ...common,
  type: z.literal('choice'),
  cases: z
    .array(z.strictObject({ value: z.string().min(1), name: LocalText.optional(), when: Rule }))
    .min(1)
    .describe(said('从上到下第一个成立的算数', 'the first case that holds wins')),
  writeback: WritebackGroup.optional(),
})

/** One of several values: that of the first case that holds. */
export const choice: TagKind<typeof ChoiceTag> = {
  schema: ChoiceTag,
  words: { zh: '多选一', en: 'one of several' },
  say: (value) => value,
  rules: (tag) => tag.cases.map((c, i) => ({ rule: c.when, path: ['cases', i, 'when'] })),
  refersTo: () => [],
  edges: () => [],
  countedFrom: () => undefined,
  value: (tag, build) => ({
    text: 'choice',
    cases: tag.cases.map((c) => ({ when: build.test(c.when), value: constant(c.value) })),
    otherwise: ABSENT,
  }),
  values: (tag) => tag.cases.map((c) => c.value),
  lint: () => [],
  asked: (tag) => tag.cases.map((c) => ({ rule: c.when, value: c.value })),
  writeback: ({ cases, writeback: group }) =>
    group === undefined
      ? []
      : cases.map(({ value, name }) => ({
          value,
          target: { group, name: name === undefined ? value : textOf(name, 'zh') },
        })),
}
