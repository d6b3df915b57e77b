import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { buildWorld, type EventHome, openEventHome, type World } from '../support/build-deps.js'
import { sized } from '../support/sized.js'
import { type Action, DEFINITIONS, START, STORIES } from '../support/stories.js'

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

/** In CI every third write is the last one; the long form takes them all. */
const STRIDE = sized(3, 1)

describe('a process that dies at any write and starts again', () => {
  it.each(Object.entries(STORIES))('leaves what an undisturbed one leaves: %s', async (_name, story) => {
    const undisturbed = await live(story, undefined)
    expect(undisturbed.state['touches']!.length).toBeGreaterThan(0)
    expect(undisturbed.writes).toBeGreaterThan(20)
    const bad: string[] = []
    for (let k = 1; k <= undisturbed.writes; k += STRIDE) {
      const { state, crash } = await live(story, k)
      expect(crash).toContain(`crash at write ${k}:`)
      const differing = Object.keys(state).filter(
        (key) => JSON.stringify(state[key]) !== JSON.stringify(undisturbed.state[key]),
      )
      if (differing.length > 0) bad.push(crash + ' ' + differing.join())
    }
    expect(bad).toEqual([])
  })
})

async function live(story: readonly Action[], failAt: number | undefined) {
  const world = await buildWorld(home, { at: START, definitions: DEFINITIONS })
  world.faults.failAt = failAt
  let crash = ''
  for (const action of story) {
    try {
      await action(world)
    } catch (err) {
      if (!(err instanceof Error) || !err.message.startsWith('crash at write')) throw err
      crash = err.message
      world.faults.revive()
      await action(world)
    }
  }
  // What waits for the event store arrives when somebody reads; a process may die of that, too.
  await world.query('SELECT 1 AS one', z.unknown()).catch((err: unknown) => {
    if (!(err instanceof Error) || !err.message.startsWith('crash at write')) throw err
    crash = err.message
    world.faults.revive()
  })
  const writes = world.faults.writes
  const state = await stateOf(world)
  await world.close()
  return { state, crash, writes }
}

/** Everything stored that means something; numbers that only have to grow are left out. */
async function stateOf(world: World): Promise<Record<string, unknown[]>> {
  const state: Record<string, unknown[]> = {}
  for (const [name, collection] of Object.entries(world.docs)) {
    if (name === 'meta' || name === 'published' || name === 'waitingRows') continue
    const docs: object[] = []
    for await (const batch of collection.scan({})) docs.push(...batch)
    state[name] = docs.map((doc) => ({ ...doc, seq: undefined, ...(name === 'refreshes' && { order: 0, rev: 0 }) }))
  }
  const Row = z.record(z.string(), z.unknown())
  for (const [table, columns] of Object.entries({
    events: 'profile_id, name, occurred_at, event_id, source, amount_minor, properties, unit, known_at',
    profiles: 'profile_id, anchor, traits, identifier_types, created_at, merged_into',
    tag_changes: 'tag_id, profile_id, changed_at, old_value, new_value, cause',
    tag_state: 'profile_id, tag_id, value, since',
    trait_changes: 'profile_id, unit, trait, said, value, source, observed_at, ref, won, known_at',
    consent_changes: 'profile_id, unit, said, value, source, observed_at, ref, won, known_at',
    identity_changes: 'unit, type, profile_id, known_at',
  })) {
    const final = table === 'profiles' || table === 'tag_state' ? 'FINAL' : ''
    state[table] = await world.query(`SELECT ${columns} FROM ${table} ${final} ORDER BY ${columns}`, Row)
  }
  state['sent'] = [...world.wecom.sent, ...world.task.sent]
  return state
}
