import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { nextScheduleAt, runSchedules } from '../../../src/services/runtime/run-schedules.js'
import type { Tag } from '../../../src/domain/tags/definition.js'
import { buildWorld, type EventHome, openEventHome, type World } from '../../support/build-deps.js'

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
beforeEach(async () => {
  const tag = (id: string, refresh: string) => ({ id, type: 'flag', refresh, when: { event: 'seen' } })
  world = await buildWorld(home, {
    at: '2026-03-02T02:00:00Z', // 10:00 in Shanghai
    definitions: { tags: [tag('early', '0 11 * * *'), tag('late', '30 11 * * *')] },
  })
})
afterEach(() => world.close())
afterAll(() => home.close())

describe('runSchedules', () => {
  it('goes on with the others where one has times that nobody can read, and tells of it', async () => {
    const { current } = world.deps.definitions
    const unreadable = (tag: Tag): Tag => (tag.id === 'early' ? { ...tag, refresh: 'H 2 * * *' } : tag)
    const definitions = { ...world.deps.definitions, current: { ...current, tags: current.tags.map(unreadable) } }
    const deps = { ...world.deps, definitions }
    await runSchedules(deps).catch(() => undefined)
    expect(await nextScheduleAt(deps)).toEqual(new Date('2026-03-02T03:30:00Z'))
    world.clock.set(new Date('2026-03-02T03:30:00Z'))
    await expect(runSchedules(deps)).rejects.toThrow(/"H 2 \* \* \*" is no cron expression/)
    expect((await world.docs.refreshes.get('refresh 30 11 * * *'))?.phase).toBe('done')
  })
})
