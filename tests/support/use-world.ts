import { afterAll, afterEach, beforeAll } from '@jest/globals'
import { buildWorld, type EventHome, openEventHome, type World } from './build-deps.js'

/** For a file of tests: one event store for all, and whatever worlds a test opens, one after the other, are closed after it. */
export function useWorld(): (options: Parameters<typeof buildWorld>[1]) => Promise<World> {
  let home: EventHome
  let worlds: World[] = []
  beforeAll(async () => {
    home = await openEventHome()
  })
  afterEach(async () => {
    const open = worlds
    worlds = []
    for (const world of open) await world.close()
  })
  afterAll(() => home.close())
  return async (options) => {
    const world = await buildWorld(home, options)
    worlds.push(world)
    return world
  }
}
