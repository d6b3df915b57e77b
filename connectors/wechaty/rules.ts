import { z } from 'zod'
import { said } from '../../src/connector.js'

/** Longer texts are cut before they are matched. */
export const MAX_TEXT = 500
/** Ways in which a pattern may try one place of the text; a bound on the time a match can take. */
const MAX_CHOICES = 10_000

const Pattern = z
  .string()
  .min(1)
  .max(200)
  .superRefine((pattern, ctx) => {
    const problem = patternProblem(pattern)
    if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem })
  })

const Rule = z
  .strictObject({
    topic: z
      .string()
      .regex(
        /^[a-z][a-z0-9_]*$/,
        said(
          '话题用小写字母，如 price_question',
          said('话题用小写字母，如 price_question', 'a topic is lower case, e.g. price_question'),
        ),
      )
      .describe(
        said('话题，即规则里 chat_topic 事件的 topic。', 'The topic, as rules name it: event chat_topic, topic.'),
      ),
    intent: z
      .string()
      .regex(
        /^[a-z][a-z0-9_]*$/,
        said('意图用小写字母，如 buy', said('意图用小写字母，如 buy', 'an intent is lower case, e.g. buy')),
      )
      .optional()
      .describe(said('意图，可不写。', 'The intent, optional.')),
    keywords: z
      .array(z.string().min(1).max(50))
      .default([])
      .describe(said('出现任何一个即命中，不分大小写和全半角。', 'Any of them, whatever its case and width.')),
    patterns: z
      .array(Pattern)
      .default([])
      .describe(
        said(
          '或符合任何一个正则；次数要写上限，如 .{0,10}。',
          'Or any regular expression; repeats are bounded: .{0,10}.',
        ),
      ),
    unless: z
      .array(z.string().min(1).max(50))
      .default([])
      .describe(said('出现任何一个就不算。', 'None of these may be there.')),
    from: z
      .enum(['customer', 'guide', 'both'])
      .default('customer')
      .describe(said('谁说的才算。', 'Whose words count.')),
    optsOut: z
      .literal(true)
      .optional()
      .describe(
        said(
          '客户说了就不再打扰：同时记为 opted_out，在途的触达都收回。',
          'A customer who says so is written to no more: also event opted_out.',
        ),
      ),
  })
  .refine(
    (rule) => rule.optsOut === undefined || rule.from === 'customer',
    said('optsOut 只用于客户说的话：from', 'optsOut is for what customers say: from'),
  )
  .refine(
    (rule) => rule.keywords.length + rule.patterns.length > 0,
    said('要写 keywords 或 patterns', said('要写 keywords 或 patterns', 'needs keywords or patterns')),
  )

/** `config/wechaty.yaml`: what is read out of chats, and whether their texts are kept. */
export const ChatRules = z.strictObject({
  rules: z.array(Rule).default([]).describe(said('从聊天里认出的话题。', 'Topics that are found in chats.')),
  keepTexts: z
    .strictObject({ days: z.int().min(1).max(3650).describe(said('保留天数。', 'Days.')) })
    .optional()
    .describe(said('聊天原文保留多少天；不写则不保存。', 'How long texts are kept; without it they are not.')),
})
export type ChatRules = z.infer<typeof ChatRules>

/** `optsOut`: whoever said it wants no more messages. */
export type Topic = { topic: string; intent?: string; optsOut?: true }
export type TopicMatcher = (text: string, from: 'customer' | 'guide') => Topic[]

/** The topics of a text, in the order of the rules, each once. */
export function createTopicMatcher({ rules }: ChatRules): TopicMatcher {
  const compiled = rules.map((rule) => ({
    ...rule,
    keywords: rule.keywords.map(normalise),
    unless: rule.unless.map(normalise),
    patterns: rule.patterns.map((pattern) => new RegExp(pattern, 'iu')),
  }))
  return (words, from) => {
    const text = normalise(words.slice(0, MAX_TEXT))
    const topics = new Map<string, Topic>()
    for (const { topic, intent, optsOut, keywords, patterns, unless, from: whose } of compiled) {
      if ((whose !== 'both' && whose !== from) || unless.some((word) => text.includes(word))) continue
      if (keywords.some((word) => text.includes(word)) || patterns.some((pattern) => pattern.test(text))) {
        const isStop = (optsOut ?? topics.get(topic)?.optsOut) === true && { optsOut: true as const }
        topics.set(topic, { topic, ...(intent !== undefined && { intent }), ...isStop })
      }
    }
    return [...topics.values()]
  }
}

/**
 * Why a pattern is not taken. A backtracking matcher tries at most every combination of choices at every place of the
 * text: with their product bounded, and no repeats inside repeats, no text can keep it busy.
 */
export function patternProblem(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'iu')
  } catch {
    return said('不是正则表达式', 'is no regular expression')
  }
  if (/\\[1-9k]/.test(pattern))
    return said('引用了前面的分组：把文字写出来', 'refers back to a group: write the text out')
  if (/\(\?(?!:)/.test(pattern))
    return said(
      '有前后断言或命名分组：只能用 (?: … )',
      'looks ahead or behind, or names a group: only (?: … ) is possible',
    )
  // What escapes and classes hold is one character each.
  const flat = pattern.replace(/\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\./g, 'x').replace(/\[[^\]]*\]/g, 'x')
  if (/[*+]|\{\d+,\}/.test(flat))
    return said(
      '重复没有上限：* 写成 {0,20}，+ 写成 {1,20}',
      'repeats without a bound: write {0,20} for * and {1,20} for +',
    )
  if (/\)\{/.test(flat)) return said('重复了一个分组：把它写开', 'repeats a group: write its parts out')
  let choices = 1
  for (const [, min, max] of flat.matchAll(/\{(\d+)(?:,(\d+))?\}/g)) choices *= Number(max ?? min) - Number(min) + 1
  choices *= 2 ** (flat.match(/[^(]\?|\)\?/g)?.length ?? 0)
  choices *= 2 ** (flat.match(/\|/g)?.length ?? 0)
  return choices > MAX_CHOICES
    ? said(
        `每个位置要试 ${choices} 种，最多 ${MAX_CHOICES}：写得窄一些`,
        `may be tried in ${choices} ways at each place: make it narrower (${MAX_CHOICES})`,
      )
    : undefined
}

/** Full-width letters and digits as half-width ones, capitals as small ones. */
function normalise(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}
