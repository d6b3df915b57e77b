import { z } from 'zod'
import type { Calls } from './calls.js'
import { Characters, checkRequest } from './content.js'
import { List, Nothing, UnixSeconds } from './wire.js'

const SEMANTICS = { phone: 1, email: 2, red_packet: 3 } as const
export type Semantics = keyof typeof SEMANTICS

const Range = z.object({
  /** At most 1,000. */
  userIds: z.array(z.string()).max(1_000).readonly().default([]),
  departmentIds: z.array(z.int()).max(1_000).readonly().default([]),
})
/** Page 95097. */
const Rule = z.object({
  name: Characters(20),
  /** 1 to 300 words of at most 32 characters. */
  words: z.array(Characters(32)).min(1).max(300).readonly(),
  /** Kinds of things to stop besides words. */
  semantics: z
    .array(z.enum(['phone', 'email', 'red_packet']))
    .readonly()
    .default([]),
  /** `block` stops the message, `warn` only warns. */
  does: z.enum(['block', 'warn']),
  range: Range.refine((r) => r.userIds.length + r.departmentIds.length > 0, 'needs members or departments'),
})
export type InterceptRule = z.input<typeof Rule>

const Change = Rule.omit({ range: true }).partial().extend({
  addRange: Range.optional(),
  removeRange: Range.optional(),
  semantics: Rule.shape.semantics.unwrap().optional(),
})
export type InterceptRuleChange = z.input<typeof Change>

const CreatedReply = z.object({ rule_id: z.string().min(1) })
const ListReply = z.object({
  rule_list: List(z.object({ rule_id: z.string().min(1), rule_name: z.string(), create_time: UnixSeconds })),
})
const RuleReply = z.object({
  rule: z.object({
    rule_name: z.string(),
    word_list: List(z.string()),
    extra_rule: z.object({ semantics_list: List(z.number()) }).nullish(),
    intercept_type: z.number(),
    applicable_range: z.object({ user_list: List(z.string()), department_list: List(z.number()) }).nullish(),
  }),
})

/** Words that members' chats with customers warn of or stop (聊天敏感词, page 95097); at most 100 rules in a company. */
export function interceptCalls(calls: Calls) {
  const path = 'externalcontact'
  return {
    /** @throws {WecomError} 41069 when there are 100, 41077 when the name is taken */
    async add(rule: InterceptRule): Promise<string> {
      const { name, words, semantics, does, range } = checkRequest(Rule, rule, 'Intercept rule')
      const body = {
        rule_name: name,
        word_list: words,
        semantics_list: semantics.map((kind) => SEMANTICS[kind]),
        intercept_type: typeOf(does),
        applicable_range: rangeOf(range),
      }
      return (await calls.act(`${path}/add_intercept_rule`, CreatedReply, body)).rule_id
    },
    async list(): Promise<{ ruleId: string; name: string; createdAt: Date }[]> {
      const { rule_list } = await calls.get(`${path}/get_intercept_rule_list`, ListReply)
      return rule_list.map((rule) => ({
        ruleId: rule.rule_id,
        name: rule.rule_name,
        createdAt: new Date(rule.create_time * 1000),
      }))
    },
    async get(ruleId: string): Promise<z.output<typeof Rule>> {
      const { rule } = await calls.read(`${path}/get_intercept_rule`, RuleReply, { rule_id: ruleId })
      const known = rule.extra_rule?.semantics_list ?? []
      return {
        name: rule.rule_name,
        words: rule.word_list,
        semantics: (Object.keys(SEMANTICS) as Semantics[]).filter((kind) => known.includes(SEMANTICS[kind])),
        does: rule.intercept_type === 1 ? 'block' : 'warn',
        range: {
          userIds: rule.applicable_range?.user_list ?? [],
          departmentIds: rule.applicable_range?.department_list ?? [],
        },
      }
    },
    async update(ruleId: string, change: InterceptRuleChange): Promise<void> {
      const { name, words, semantics, does, addRange, removeRange } = checkRequest(Change, change, 'Intercept rule')
      await calls.put(`${path}/update_intercept_rule`, Nothing, {
        rule_id: ruleId,
        rule_name: name,
        word_list: words,
        extra_rule: semantics && { semantics_list: semantics.map((kind) => SEMANTICS[kind]) },
        intercept_type: does && typeOf(does),
        add_applicable_range: addRange && rangeOf(addRange),
        remove_applicable_range: removeRange && rangeOf(removeRange),
      })
    },
    async remove(ruleId: string): Promise<void> {
      await calls.unless(['already_done'], calls.put(`${path}/del_intercept_rule`, Nothing, { rule_id: ruleId }))
    },
  }
}

const typeOf = (does: 'block' | 'warn') => (does === 'block' ? 1 : 2)

function rangeOf({ userIds, departmentIds }: z.output<typeof Range>) {
  return { user_list: userIds, department_list: departmentIds }
}
