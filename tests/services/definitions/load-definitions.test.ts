import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { stringify } from 'yaml'
import { giftShopFolder } from '../../../demo/gift-shop.js'
import { loadConfig, placedIn } from '../../../src/config.js'
import { type DefinitionPaths, kindNames } from '../../../src/services/definitions/kinds.js'
import { checkDefinitions } from '../../../src/services/definitions/load-definitions.js'

let home: string
let paths: DefinitionPaths

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'siyu-definitions-'))
  cpSync(giftShopFolder(), home, { recursive: true })
  paths = placedIn(home, await loadConfig({ file: join(home, 'config/service.yaml'), env: {} })).paths
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function edit(file: string, from: string | RegExp, to: string): void {
  const text = readFileSync(join(home, file), 'utf8')
  if (typeof from === 'string') expect(text).toContain(from)
  else expect(text).toMatch(from)
  writeFileSync(join(home, file), text.replace(from, to))
}

async function allProblems(options?: Parameters<typeof checkDefinitions>[1]) {
  return (await checkDefinitions(paths, options)).problems
}

function lineOf({ file, line }: { file?: string; line?: number }): string {
  return readFileSync(file!, 'utf8').split('\n')[line! - 1]!
}

describe('checkDefinitions', () => {
  it('finds what is wrong with a way when it is asked for all kinds, and lets it hold nothing up', async () => {
    mkdirSync(join(home, 'config/wecom/ways'), { recursive: true })
    writeFileSync(join(home, 'config/wecom/ways/broken.yaml'), 'ways: [{ id: Store, name: 门店, users: [guide001] }]')
    const all = await checkDefinitions(paths, { names: kindNames })
    expect(all.problems.map((p) => p.path)).toEqual(['ways.0.id'])
    expect(all.loaded?.journeyFiles.length).toBeGreaterThan(0)
    expect((await checkDefinitions(paths)).problems).toEqual([])
  })

  it.each<[string, string, string, string, string, RegExp, RegExp]>([
    [
      'a misspelt tag in a journey',
      'journeys/registered-7d-no-order.yaml',
      'tag: high_intent',
      'tag: hihg_intent',
      'steps.4.branch.0.if.tag',
      /no tag "hihg_intent"/,
      /did you mean "high_intent"/,
    ],
    [
      'an event that nobody sends',
      'config/tags/behaviour.yaml',
      'event: guide_contacted',
      'event: guide_phoned',
      'tags.4.when.event',
      /no event "guide_phoned"/,
      /events\.yaml/,
    ],
    [
      'a content that does not exist',
      'journeys/new-customer-3-days.yaml',
      'content: new-trial',
      'content: no-trial',
      'steps.0.send.content',
      /no content "no-trial"/,
      /new-trial/,
    ],
    [
      'a coupon in a mass message',
      'journeys/new-customer-3-days.yaml',
      'content: new-trial',
      'content: coupon-20',
      'steps.0.send.content',
      /carries a code/,
      /channel: coupon/,
    ],
    [
      'a coupon channel without a coupon',
      'journeys/registered-7d-no-order.yaml',
      'content: coupon-20',
      'content: trial-review',
      'steps.0.send.content',
      /no coupon to hand over/,
      /pool/,
    ],
    [
      'a variable that nobody fills in',
      'config/content/messages.yaml',
      '好久不见',
      '好久不见{{ customer }}',
      'contents.3.text',
      /undefined variable: customer/,
      /\{\{ brand \}\}/,
    ],
    [
      'a placeholder where a guide reads',
      'journeys/registered-7d-no-order.yaml',
      'zh: 高意向：今天联系',
      "zh: '{{ name }}：今天联系'",
      'steps.4.branch.0.do.0.task.title',
      /placeholders are not filled in a title/,
      /plain words/,
    ],
    [
      'a template that does not end',
      'config/content/messages.yaml',
      '好久不见',
      '好久不见{% if brand %}',
      'contents.3.text',
      /cannot be filled in/,
      /brand/,
    ],
    [
      'a pool that does not exist',
      'config/content/messages.yaml',
      'coupon: vip-15',
      'coupon: vip-51',
      'contents.4.coupon',
      /no coupon pool "vip-51"/,
      /coupons\.yaml/,
    ],
    [
      'an id that differs from its file',
      'journeys/new-customer-3-days.yaml',
      'id: new-customer-3-days',
      'id: new-customer',
      'id',
      /differs from its file name/,
      /new-customer-3-days/,
    ],
    [
      'a tag that is defined twice',
      'config/tags/value.yaml',
      'id: value_tier',
      'id: active_30d',
      'tags.1.id',
      /defined twice/,
      /rename/,
    ],
    [
      'an event that is one of ours',
      'config/events.yaml',
      'name: consulted',
      'name: contact_added',
      'events.6.name',
      /"contact_added".* siyu itself writes/,
      /remove it.*shop_contact_added/,
    ],
    [
      'a segment that is defined twice',
      'config/segments.yaml',
      'id: core_repurchase',
      'id: reachable',
      'segments.1.id',
      /segment "reachable" is defined twice/,
      /rename/,
    ],
  ])('says of %s where it is and what to do', async (_what, file, from, to, path, message, hint) => {
    edit(file, from, to)
    const { problems } = await checkDefinitions(paths)
    const problem = problems.find((p) => p.path === path)
    expect(problem).toMatchObject({ file: join(home, file) })
    expect(problem?.message).toMatch(message)
    expect(problem?.hint).toMatch(hint)
    const line = readFileSync(join(home, file), 'utf8').split('\n')[problem!.line! - 1]
    expect(line).toContain(to.split('\n')[0]!.slice(0, 12))
  })

  it('says of a corp tag that a tag and the stage would write', async () => {
    edit('config/lifecycle.yaml', 'stages:', 'writeback: 分层\nstages:')
    edit('config/tags/value.yaml', '    type: choice\n', '    type: choice\n    writeback: 分层\n')
    edit('config/lifecycle.yaml', '{ zh: 活跃, en: Active }', '{ zh: 冠军客户, en: Active }')
    edit('config/tags/value.yaml', 'value: champions', 'value: champions\n        name: 冠军客户')
    const { problems } = await checkDefinitions(paths)
    expect(problems).toMatchObject([
      {
        file: join(home, 'config/lifecycle.yaml'),
        path: 'writeback',
        message: expect.stringContaining('分层/冠军客户 is already written by rfm_class=champions') as unknown,
      },
    ])
  })

  it('warns of tags that read more than ten others one behind the other, and takes them', async () => {
    const tags = Array.from({ length: 13 }, (_, i) => ({
      ...{ id: `t${i}`, name: `t${i}`, category: 'model', owner: 'crm', purpose: 'test', type: 'flag' },
      when: i === 0 ? { event: 'order_paid' } : { tag: `t${i - 1}` },
    }))
    writeFileSync(join(home, 'config/tags/chain.yaml'), stringify({ tags }))
    const { problems, warnings, loaded } = await checkDefinitions(paths)
    expect(problems).toEqual([])
    expect(loaded?.tags.some((tag) => tag.id === 't12')).toBe(true)
    expect(warnings?.map((w) => w.message)).toEqual([
      expect.stringMatching(/^t11 .*11/) as unknown as string,
      expect.stringMatching(/^t12 .*12/) as unknown as string,
    ])
  })

  it('says of tags in a circle, and of segments in a circle, how it goes and where it closes, beside all else', async () => {
    edit('config/tags/lifecycle.yaml', '{ tag: high_value }', '{ tag: dormant_vip }')
    edit('config/segments.yaml', 'tag: said_stop', 'segment: core_repurchase')
    edit('config/segments.yaml', '{ tag: loyal_buyer }', '{ segment: reachable }')
    edit('config/content/messages.yaml', 'coupon: vip-15', 'coupon: vip-51')
    const { problems, loaded } = await checkDefinitions(paths)
    expect(loaded).toBeUndefined()
    expect(problems.map(({ file, path }) => [file!.slice(home.length + 1), path])).toEqual([
      ['config/content/messages.yaml', 'contents.4.coupon'],
      ['config/tags/lifecycle.yaml', 'tags.0.when.all.0.tag'],
      ['config/segments.yaml', 'segments.1.when.all.0.segment'],
    ])
    expect(problems[1]).toMatchObject({
      line: 10,
      message: expect.stringMatching(/circle: dormant_vip → dormant_vip$/) as unknown,
    })
    expect(problems[2]!.message).toMatch(/circle: segment reachable → segment core_repurchase → segment reachable$/)
    expect(lineOf(problems[2]!)).toContain('segment: reachable')
  })

  it('tells of a stage that reads itself through a tag', async () => {
    edit('config/lifecycle.yaml', 'when: { event: order_paid, count: { gte: 2 } }', 'when: { tag: repeat_buyer }')
    edit('config/tags/transaction.yaml', 'when: { event: order_paid, count: { gte: 2 } }', 'when: { stage: active }')
    const { problems } = await checkDefinitions(paths)
    expect(problems.map((p) => p.message)).toEqual([
      expect.stringMatching(
        /circle: lifecycle_stage → repeat_buyer → lifecycle_stage|repeat_buyer → lifecycle_stage → repeat_buyer/,
      ) as unknown,
    ])
  })

  it('blames a content that is broken, and nobody who names it', async () => {
    edit('config/content/messages.yaml', 'id: coupon-20', 'id: coupon-20\n    colour: red')
    expect((await checkDefinitions(paths)).problems.map((p) => p.path)).toEqual(['contents.0.colour'])
    edit('config/content/messages.yaml', '    colour: red', '    text: [1]')
    expect((await checkDefinitions(paths)).problems.map((p) => p.path)).not.toContain('steps.0.send.content')
  })

  it('refuses a link of a brand without a site, on its line', async () => {
    const found = await allProblems({ hasSite: false })
    expect(found.every((p) => p.message.includes('the link has nowhere to lead'))).toBe(true)
    expect(lineOf(found[0]!)).toContain('link: {')
    expect(found).toHaveLength(6)
    expect(await allProblems()).toEqual([])
  })

  it('blames a file that is no YAML, or not UTF-8, and nobody who names what is in it', async () => {
    edit('config/content/messages.yaml', '  - id: coupon-20', '\t- id: coupon-20')
    expect(await allProblems()).toMatchObject([
      { file: join(home, 'config/content/messages.yaml'), message: expect.stringContaining('Tab') as unknown },
    ])
    writeFileSync(join(home, 'config/content/messages.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xc9, 0xcf, 0xba, 0xa3]))
    expect(await allProblems()).toMatchObject([{ line: 1, message: expect.stringContaining('GB18030') as unknown }])
  })

  it('sees what is named wrong in a file that does not fit, on its line', async () => {
    edit('journeys/registered-7d-no-order.yaml', 'tag: high_intent', 'tag: hihg_intent')
    edit('journeys/registered-7d-no-order.yaml', 'goal:', 'gaol:')
    edit('config/tags/value.yaml', 'id: value_tier', 'id: value_tier\n    colour: red')
    edit(
      'config/tags/value.yaml',
      'when: { event: order_paid, within: 365d, sum: { amountMinor: { gte: 500000 } } }',
      'when: { event: order_payed }',
    )
    const { problems } = await checkDefinitions(paths)
    const said = problems.map(({ path, message }) => `${path} ${message}`)
    expect(said).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^gaol .*unknown field "gaol"/),
        expect.stringMatching(/^steps\.4\.branch\.0\.if\.tag .*no tag "hihg_intent"/),
        expect.stringMatching(/^tags\.1\.colour .*unknown field/),
        expect.stringMatching(/^tags\.1\.cases\.0\.when\.event .*no event "order_payed"/),
      ]),
    )
    for (const problem of problems.filter((p) => /no (tag|event) "/.test(p.message)))
      expect(lineOf(problem)).toMatch(/hihg_intent|order_payed/)
  })

  it('finds a journey that is ranked and not there, and runs without it', async () => {
    edit('config/policy.yaml', 'vip-dormant-30-60d]', 'vip-dormant-30-90d]')
    const { problems, loaded } = await checkDefinitions(paths)
    expect(problems).toMatchObject([
      {
        file: join(home, 'config/policy.yaml'),
        path: 'priority.2',
        hint: expect.stringContaining('"vip-dormant-30-60d"') as unknown,
      },
    ])
    expect(loaded?.journeyFiles).toHaveLength(3)
  })

  it('finds identifiers, values and traits that are spelt wrong, and what cannot hold, everywhere a rule may stand', async () => {
    edit('config/tags/attribute.yaml', 'identifier: external_userid', 'identifier: external_user')
    edit('config/tags/attribute.yaml', 'trait: city', 'trait: ctiy')
    edit('config/segments.yaml', 'in: [at_risk, hibernating]', 'in: [at_risk, hibernatin]')
    edit('config/lifecycle.yaml', 'daysSince: { gte: 90 }', 'daysSince: { gte: 90, lt: 30 }')
    edit(
      'config/tags/behaviour.yaml',
      'event: guide_contacted, within: 30d',
      "event: guide_contacted, within: 30d, where: { outcom: 'x' }",
    )
    edit('config/tags/transaction.yaml', 'sum: amountMinor }', 'sum: quantiy }')
    edit('config/identity.yaml', 'agree: [birthday]', 'agree: [birthdy]')
    const { problems } = await checkDefinitions(paths)
    expect(problems.map((p) => p.path).sort()).toEqual([
      'agree.0',
      'segments.10.when.any.1.in.1',
      'stages.1.when',
      'tags.0.when.identifier',
      'tags.4.trait',
      'tags.4.when.where.outcom',
      'tags.5.value.sum',
    ])
    for (const { message, hint } of problems) expect(`${message} ${hint}`).toMatch(/did you mean|never hold/)
  })

  it('finds values of nobody, and of somebody, that are compared with nothing', async () => {
    const values =
      "[{ type: phone, value: '138 0013 8000' }, { type: phones, value: x }, { type: email, value: A@b }, { type: openid, value: '0' }]"
    edit('config/identity.yaml', 'ignore: []', `ignore: ${values}`)
    edit('config/identity.yaml', 'allow: []', "allow: [{ type: openid, value: '0' }]")
    const { problems } = await checkDefinitions(paths)
    expect(problems).toMatchObject([
      { path: 'ignore.0.value', hint: expect.stringContaining('"13800138000"') as unknown },
      { path: 'ignore.1.type', hint: expect.stringContaining('did you mean') as unknown },
      { path: 'ignore.2.value', hint: expect.stringContaining('"a@b"') as unknown },
      { path: 'allow.0.value', message: expect.stringContaining('under ignore as well') as unknown },
    ])
  })

  it('takes what no list has and nothing is like, with a warning', async () => {
    edit('config/tags/attribute.yaml', 'trait: city', 'trait: store')
    const { problems, warnings } = await checkDefinitions(paths)
    expect(problems).toEqual([])
    expect(warnings).toMatchObject([
      { path: 'tags.4.trait', hint: expect.stringContaining('config/events.yaml') as unknown },
    ])
  })

  it('warns where nothing is listed', async () => {
    edit('config/events.yaml', /traits: \[.*\]/, '')
    edit('config/events.yaml', /,\n *properties: \[invoice[^\]]*\]/, '')
    edit('config/tags/attribute.yaml', 'type: text\n    trait: city', 'type: flag\n    when: { trait: city }')
    const { problems, warnings } = await checkDefinitions(paths)
    expect(problems).toEqual([])
    expect(warnings.map((w) => w.path)).toEqual(['', 'events.1'])
  })

  it('says of a text over the bytes of its channel how many it has, with the name of the brand in it', async () => {
    edit('config/content/messages.yaml', '好久不见', `好{{ brand }}${'好'.repeat(1_310)}`)
    expect(await allProblems({ brand: '店' })).toEqual([])
    expect(await allProblems({ brand: '很长的品牌名'.repeat(10) })).toMatchObject([
      { path: 'contents.3.text', message: expect.stringMatching(/4,\d{3} of 4,000 bytes/) as unknown },
    ])
  })

  it('tells all problems at once, and leaves only the broken journey out', async () => {
    edit('journeys/new-customer-3-days.yaml', 'holdout: 20%', 'holdout: 120%')
    edit('journeys/vip-dormant-30-60d.yaml', 'segment: reachable', 'segment: reacheable')
    const { problems, loaded } = await checkDefinitions(paths)
    expect(problems.map((p) => p.path)).toEqual(['holdout', 'enter.when.all.1.segment'])
    expect(loaded?.journeyFiles.map((f) => f.journey.id)).toEqual(['registered-7d-no-order'])
  })
})
