import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, memberId, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { departmentMembers } from './recipients.js'

/** Page 95097. */
const MAX_RULES = 100
const MAX_NAME_CHARS = 20
const MAX_WORDS = 300
const MAX_WORD_CHARS = 32
const MAX_RANGE = 1_000

const Range = z.object({ user_list: z.array(z.string()).default([]), department_list: z.array(z.int()).default([]) })
type Range = z.infer<typeof Range>
const Fields = {
  rule_name: OptionalText,
  word_list: z.array(z.string()).optional(),
  intercept_type: z.int().min(1).max(2).optional(),
}
type Rule = {
  createdMs: number
  rule_name: string
  word_list: string[]
  semantics_list: number[]
  intercept_type: number
  range: Range
}

const PATH = '/cgi-bin/externalcontact'

/** Words that members' chats with customers warn of or stop (聊天敏感词, page 95097). They do not touch the API's own messages. */
export function interceptEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/add_intercept_rule`]: { writes: true, handle: (call) => addInterceptRule(world, call) },
    [`${PATH}/get_intercept_rule_list`]: { empty: { rule_list: [] }, handle: () => getInterceptRuleList(world) },
    [`${PATH}/get_intercept_rule`]: { handle: (call) => getInterceptRule(world, call) },
    [`${PATH}/update_intercept_rule`]: { writes: true, handle: (call) => updateInterceptRule(world, call) },
    [`${PATH}/del_intercept_rule`]: { writes: true, handle: (call) => delInterceptRule(world, call) },
  }
}

function rulesOf({ state, seed }: World): Objects<Rule> {
  return openObjects<Rule>(state, seed, 'intercept_rule')
}

function addInterceptRule(world: World, { params, now }: Call): Reply {
  const rules = rulesOf(world)
  const Body = z.object({ ...Fields, semantics_list: z.array(z.int()).default([]), applicable_range: Range })
  const body = read(Body, params)
  const semantics = checkSemantics(body.semantics_list)
  const { rule_name, word_list, intercept_type } = body
  if (rule_name === undefined || intercept_type === undefined)
    throw new Refusal(40058, 'rule_name or intercept_type unexpected empty. invalid Request Parameter')
  checkName(world, rule_name)
  checkWords(word_list)
  const range = checkRange(world, body.applicable_range)
  if (rules.count() >= MAX_RULES) throw new Refusal(41069, 'intercept rule count out of limit')
  const id = rules.newId('', 32)
  const rule = {
    createdMs: now.getTime(),
    rule_name,
    word_list: word_list!,
    semantics_list: semantics,
    intercept_type,
  }
  rules.put(id, { ...rule, range }) // prettier-ignore
  return { rule_id: id }
}

function getInterceptRuleList(world: World): Reply {
  const rules = rulesOf(world)
  return {
    rule_list: rules.list().map(({ id, body }) => ({
      rule_id: id,
      rule_name: body.rule_name,
      create_time: Math.floor(body.createdMs / SECOND_MS),
    })),
  }
}

function getInterceptRule(world: World, { params }: Call): Reply {
  const { id, rule } = ruleOf(world, params)
  const { rule_name, word_list, semantics_list, intercept_type, range } = rule
  const shown = { rule_id: id, rule_name, word_list, extra_rule: { semantics_list }, intercept_type }
  return { rule: { ...shown, applicable_range: range } }
}

function updateInterceptRule(world: World, { params }: Call): Reply {
  const rules = rulesOf(world)
  const { id, rule } = ruleOf(world, params)
  const Body = z.object({
    ...Fields,
    extra_rule: z.object({ semantics_list: z.array(z.int()) }).optional(),
    add_applicable_range: Range.default({ user_list: [], department_list: [] }),
    remove_applicable_range: Range.default({ user_list: [], department_list: [] }),
  })
  const body = read(Body, params)
  if (body.rule_name !== undefined) checkName(world, body.rule_name, id)
  if (body.word_list !== undefined) checkWords(body.word_list)
  const gone = body.remove_applicable_range
  const range = checkRange(world, {
    user_list: joined(rule.range.user_list, body.add_applicable_range.user_list, gone.user_list),
    department_list: joined(
      rule.range.department_list,
      body.add_applicable_range.department_list,
      gone.department_list,
    ),
  })
  rules.put(id, {
    ...rule,
    rule_name: body.rule_name ?? rule.rule_name,
    word_list: body.word_list ?? rule.word_list,
    intercept_type: body.intercept_type ?? rule.intercept_type,
    semantics_list:
      body.extra_rule === undefined ? rule.semantics_list : checkSemantics(body.extra_rule.semantics_list),
    range,
  })
  return {}
}

function delInterceptRule(world: World, { params }: Call): Reply {
  const rules = rulesOf(world)
  rules.delete(ruleOf(world, params).id)
  return {}
}

function ruleOf(world: World, params: Record<string, unknown>): { id: string; rule: Rule } {
  const rules = rulesOf(world)
  const { rule_id: id } = read(z.object({ rule_id: OptionalText }), params)
  const rule = id === undefined ? undefined : rules.get(id)
  if (id === undefined || rule === undefined) throw new Refusal(41070, 'invalid rule_id')
  return { id, rule }
}

function checkName(world: World, name: string, ownId?: string): void {
  const rules = rulesOf(world)
  if ([...name].length > MAX_NAME_CHARS)
    throw new Refusal(40058, `rule_name exceed max length ${MAX_NAME_CHARS}. invalid Request Parameter`)
  if (rules.list().some(({ id, body }) => id !== ownId && body.rule_name === name))
    throw new Refusal(41077, 'rule_name already exists')
}

function checkRange(world: World, { user_list, department_list }: Range): Range {
  if (user_list.length > MAX_RANGE || department_list.length > MAX_RANGE)
    throw new Refusal(41076, 'applicable_range out of limit')
  if (user_list.length + department_list.length === 0)
    throw new Refusal(40058, 'applicable_range unexpected empty. invalid Request Parameter')
  for (const id of department_list) {
    if (departmentMembers(world, id) === undefined) throw new Refusal(60123, 'invalid department id')
  }
  return { user_list: user_list.map((id) => memberId(world, id)), department_list }
}

function checkWords(words: readonly string[] | undefined): void {
  if (words === undefined || words.length === 0 || words.length > MAX_WORDS)
    throw new Refusal(41068, 'invalid word_list')
  if (words.some((word) => word === '' || [...word].length > MAX_WORD_CHARS)) throw new Refusal(41083, 'invalid word')
}

/** 1 phone numbers, 2 e-mail addresses, 3 red packets. */
function checkSemantics(semantics: number[]): number[] {
  if (semantics.some((id) => id < 1 || id > 3)) throw new Refusal(41084, 'invalid semantics_list')
  return semantics
}

function joined<T>(now: readonly T[], added: readonly T[], gone: readonly T[]): T[] {
  return [...new Set([...now, ...added])].filter((item) => !gone.includes(item))
}
