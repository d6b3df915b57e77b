import { beforeAll, describe, expect, it } from '@jest/globals'
import { loadGiftShop } from '../../demo/gift-shop.js'
import { type Config, loadConfig } from '../../src/config.js'
import { compileDeltas, readsOf } from '../../src/domain/rules/compile.js'
import { journeyReferences } from '../../src/domain/journeys/references.js'
import { STAGE_TAG } from '../../src/domain/rules/clauses/stage.js'
import { placeSteps } from '../../src/domain/journeys/definition.js'
import {
  checkDefinitions,
  evaluablesOf,
  type LoadedDefinitions,
} from '../../src/services/definitions/load-definitions.js'

let loaded: LoadedDefinitions

async function load(config: Config): Promise<LoadedDefinitions> {
  const checked = await checkDefinitions(config.paths)
  expect(checked.problems).toEqual([])
  return checked.loaded!
}

describe('what a brand begins with', () => {
  it('is a greeting and no journey, and nothing that somebody else made up', async () => {
    const own = await load(await loadConfig({ file: 'config/service.yaml', env: {} }))
    expect(own.journeyFiles).toEqual([])
    expect(own.couponPools).toEqual([])
    expect([...own.contents.keys()]).toEqual(['welcome', 'thanks'])
    expect(own.welcome.map(({ content }) => content)).toEqual(['welcome'])
    expect(own.policy.priority).toEqual([])
  })
})

describe('the definitions of the gift shop', () => {
  beforeAll(async () => {
    loaded = await load(await loadGiftShop({}))
  })

  it('load without a problem: about 30 tags, three journeys', () => {
    expect(loaded.tags.length).toBeGreaterThanOrEqual(30)
    expect(loaded.journeyFiles.map((f) => f.journey.id).sort()).toEqual([
      'new-customer-3-days',
      'registered-7d-no-order',
      'vip-dormant-30-60d',
    ])
  })

  it('compile together into one query', () => {
    const journeys = loaded.journeyFiles.map((f) => f.journey)
    const evaluables = evaluablesOf(loaded.tags, journeys)
    const options = { nowMs: 0, scope: { kind: 'all' } as const, segments: loaded.segments, tags: loaded.tags }
    expect(compileDeltas(evaluables, options)).toContain('arrayJoin')
  })

  it('have a use for every tag: a journey, a segment, another tag, or the report', () => {
    const used = new Set([STAGE_TAG])
    for (const tag of loaded.tags)
      for (const other of readsOf({ id: tag.id, tag }, new Map()).tags) if (other !== tag.id) used.add(other)
    for (const rule of loaded.segments.values())
      for (const tag of readsOf({ id: '', rule }, new Map()).tags) used.add(tag)
    for (const { journey } of loaded.journeyFiles)
      for (const reference of journeyReferences(journey)) if (reference.kind === 'tag') used.add(reference.name)
    const unused = loaded.tags.filter((t) => !used.has(t.id) && !/\breport\b/.test(t.purpose))
    expect(unused.map((t) => t.id)).toEqual([])
  })

  it('say truly who uses a tag: the journey, segment or tag that its purpose names reads it', () => {
    const readers = new Map<string, Set<string>>()
    for (const tag of loaded.tags) readers.set(`tag ${tag.id}`, readsOf({ id: tag.id, tag }, loaded.segments).tags)
    for (const [id, rule] of loaded.segments) readers.set(`segment ${id}`, readsOf({ id, rule }, loaded.segments).tags)
    for (const { journey } of loaded.journeyFiles) {
      const rules = new Set(journeyReferences(journey).flatMap((r) => (r.kind === 'tag' ? [r.name] : [])))
      readers.set(`journey ${journey.id}`, rules)
    }
    for (const tag of loaded.tags) {
      for (const [named] of tag.purpose.matchAll(/(?:tag|segment|journey) [a-z][a-z0-9_-]+/g)) {
        expect({ tag: tag.id, named, reads: [...(readers.get(named) ?? [])] }).toMatchObject({
          reads: expect.arrayContaining([tag.id]) as unknown,
        })
      }
    }
  })

  it('have every content that a journey sends, with a coupon exactly where one is handed over', () => {
    for (const { journey } of loaded.journeyFiles) {
      for (const { step } of placeSteps(journey.steps)) {
        const id = 'send' in step ? step.send.content : 'task' in step ? step.task.script : undefined
        if (id === undefined) continue
        const content = loaded.contents.get(id)
        expect(content?.id).toBe(id)
        const handsOver = 'send' in step && step.send.channel === 'coupon'
        expect({ id, coupon: content?.coupon !== undefined }).toEqual({ id, coupon: handsOver })
      }
    }
  })

  it('send every content, and rank every journey', () => {
    const sent = new Set(
      loaded.journeyFiles
        .flatMap((f) => journeyReferences(f.journey))
        .flatMap((r) => (r.kind === 'content' ? [r.name] : [])),
    )
    for (const { content } of loaded.welcome) if (content !== undefined) sent.add(content)
    expect([...loaded.contents.keys()].filter((id) => !sent.has(id))).toEqual([])
    expect([...loaded.policy.priority].sort()).toEqual(loaded.journeyFiles.map((f) => f.journey.id).sort())
  })
})
