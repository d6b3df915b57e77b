import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { wechaty } from '../../../connectors/wechaty/index.js'
import { CHAT_EVENTS, Sighting } from '../../../connectors/wechaty/map.js'
import { ChatRules, createTopicMatcher, MAX_TEXT, patternProblem } from '../../../connectors/wechaty/rules.js'
import { isReservedEvent } from '../../../src/domain/events/system-events.js'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { loadYaml } from '../../../src/yaml-file.js'

const fixtures = JSON.parse(
  readFileSync(new URL('../../../connectors/wechaty/fixtures/sightings.json', import.meta.url), 'utf8'),
  (key, value: unknown) => (key === 'at' ? new Date(value as string) : value),
) as unknown[]
const sightings = fixtures.map((one) => Sighting.parse(one))
const AT = new Date('2026-03-02T02:00:00Z')

const connector = wechaty(await loadYaml(ChatRules, 'examples/gift-shop/config/wechaty.yaml'))

describe('sightings as records', () => {
  const records = sightings.flatMap((one) => connector.toRecords(one, AT)).map((record) => SourceRecord.parse(record))

  it('are one per customer, with names and numbers but no words', () => {
    expect(records.map((r) => r.events.map((e) => e.name))).toEqual([
      ['chat_message', 'chat_topic', 'chat_topic'],
      ['chat_message'],
      ['chat_friend_requested'],
      ['chat_room_joined'],
    ])
    expect(JSON.stringify(records)).not.toContain('精华')
    const [first] = records
    expect(first!.traits).toEqual({ chat_last_topic: 'sensitive_skin', chat_tags: 'vip,新客' })
    expect(first!.events[1]).toMatchObject({
      id: 'wechaty:mock:m1:price_question',
      occurredAt: AT,
      properties: { topic: 'price_question', intent: 'buy', from: 'customer', botId: 'guide-01' },
    })
    expect(records[1]!.events[0]!.properties).toMatchObject({ type: 'image', from: 'guide', roomId: 'r1@@room' })
  })

  it('bridge to WeCom where the puppet tells, and else name the puppet', () => {
    expect(records[0]!.identifiers).toEqual([
      { type: 'external_userid', value: 'wmAAAA0042' },
      { type: 'wechaty:mock', value: 'c42' },
    ])
    expect(records[1]!.identifiers).toEqual([{ type: 'wechaty:mock', value: 'c43' }])
  })

  it.each([
    ['退订', 'customer', true],
    ['以后不要再发了，谢谢', 'customer', true],
    ['我没退订呀', 'customer', false],
    ['那我给您退订', 'guide', false],
  ] as const)('of “%s” from the %s: it is a wish for no more messages: %s', (text, from, isStop) => {
    const said = { ...sightings[0]!, kind: 'message', type: 'text', text, from } as Sighting
    const events = connector.toRecords(said, AT).flatMap((record) => SourceRecord.parse(record).events)
    expect(events.some((e) => e.name === 'opted_out')).toBe(isStop)
    expect(new Set(events.map((e) => e.id)).size).toBe(events.length)
  })

  it('of colleagues are none', () => {
    const colleague = { ...sightings[0]!, person: { contactId: 'c1', isCoworker: true } }
    expect(connector.toRecords(colleague, AT)).toEqual([])
  })

  it('have events that rules may name', () => {
    for (const name of CHAT_EVENTS) expect(isReservedEvent(name)).toBe(true)
  })
})

describe('topics', () => {
  const rules = (...more: object[]) => createTopicMatcher(ChatRules.parse({ rules: more }))

  it.each([
    ['这个多少钱', ['price']],
    ['ＶＩＰ 有什么活动', ['vip']],
    ['vip 多少钱', ['price', 'vip']],
    ['多少钱都不过敏', []],
    ['有个大大的折扣', ['pattern']],
    ['有很多很多很多很多折扣', []],
    ['', []],
  ])('of "%s" are %j', (text, topics) => {
    const match = rules(
      { topic: 'price', keywords: ['多少钱'], unless: ['不过敏'] },
      { topic: 'vip', keywords: ['VIP'] },
      { topic: 'pattern', patterns: ['有.{0,4}折'] },
    )
    expect(match(text, 'customer').map((t) => t.topic)).toEqual(topics)
  })

  it('count by who says it', () => {
    const match = rules({ topic: 'a', keywords: ['x'], from: 'guide' }, { topic: 'b', keywords: ['x'], from: 'both' })
    expect(match('x', 'customer')).toEqual([{ topic: 'b' }])
    expect(match('x', 'guide')).toEqual([{ topic: 'a' }, { topic: 'b' }])
  })
})

describe('patterns', () => {
  it.each([
    ['(', 'no regular expression'],
    ['a+', 'without a bound'],
    ['.*', 'without a bound'],
    ['a{3,}', 'without a bound'],
    ['(?:ab){2,3}', 'repeats a group'],
    ['(a)\\1', 'refers back'],
    ['(?=a)b', 'looks ahead'],
    ['.{0,100}.{0,100}.{0,100}x', 'ways'],
    ['(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)', 'ways'],
  ])('%s is refused: it %s', (pattern, why) => {
    expect(patternProblem(pattern)).toContain(why)
    expect(() => ChatRules.parse({ rules: [{ topic: 'a', patterns: [pattern] }] })).toThrow(why)
  })

  it.each(['有.{0,6}(折|券)', '\\d{1,5}元', '[*+]a?', '\\*\\+', '\\p{L}{1,3}'])('%s is taken', (pattern) => {
    expect(patternProblem(pattern)).toBeUndefined()
  })

  // What a match can cost at most is the ways at a place times the places.
  it('that are taken try a place of the text in 10,000 ways at most', () => {
    expect(patternProblem('.{0,99}a.{0,99}b')).toBeUndefined()
    expect(patternProblem('.{0,99}a.{0,100}b')).toContain('10100 ways')
  })

  it('read no more of a text than its beginning', () => {
    const match = createTopicMatcher(ChatRules.parse({ rules: [{ topic: 'a', patterns: ['.{0,99}a.{0,98}b'] }] }))
    expect(match(`${'a'.repeat(MAX_TEXT - 1)}b`, 'customer')).toEqual([{ topic: 'a' }])
    expect(match(`${'a'.repeat(MAX_TEXT)}b`, 'customer')).toEqual([])
  })
})
