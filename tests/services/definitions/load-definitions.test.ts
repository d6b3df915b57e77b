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

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(join(home, file), 'utf8')
  expect(text).toContain(from)
  writeFileSync(join(home, file), text.replace(from, to))
}

describe('checkDefinitions', () => {
  it('finds what is wrong with a way when it is asked for all kinds, and lets it hold nothing up', async () => {
    mkdirSync(join(home, 'config/wecom/ways'), { recursive: true })
    writeFileSync(join(home, 'config/wecom/ways/broken.yaml'), 'ways: [{ id: Store, name: 门店, users: [guide001] }]')
    const all = await checkDefinitions(paths, kindNames)
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
        message: '分层/冠军客户 is already written by rfm_class=champions',
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

  it('says of tags in a circle, and of segments in a circle, how it goes', async () => {
    edit('config/tags/lifecycle.yaml', '{ tag: high_value }', '{ tag: dormant_vip }')
    expect((await checkDefinitions(paths)).problems.map((p) => p.message)).toEqual([
      expect.stringMatching(/circle: dormant_vip → dormant_vip/) as unknown as string,
    ])
    edit('config/tags/lifecycle.yaml', '{ tag: dormant_vip }', '{ tag: high_value }')
    edit('config/segments.yaml', 'tag: said_stop', 'segment: core_repurchase')
    edit('config/segments.yaml', '{ tag: loyal_buyer }', '{ segment: reachable }')
    expect((await checkDefinitions(paths)).problems.map((p) => p.message)).toEqual([
      expect.stringMatching(/circle: .*segment reachable/) as unknown as string,
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
