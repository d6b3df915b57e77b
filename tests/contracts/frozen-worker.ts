import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import type { Filter } from '../../src/ports/document-language.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import type { DispatchDoc } from '../../src/stored/touches.js'
import { HOUR_MS } from '../../src/time.js'
import { buildWorld, type EventHome, openEventHome, type World } from '../support/build-deps.js'
import { LongForm } from '../support/long-form.js'
import { sized } from '../support/sized.js'
import { type Action, DEFINITIONS, REFRESH_DEFINITIONS, REFRESH_STORIES, START, STORIES } from '../support/stories.js'
import { Freezer, Worker } from '../support/two-workers.js'

/** When everything that the stories begin is over. */
const END_H = 130
/** When the schedules of a day have been worked off. */
const REFRESH_END_H = 18

/**
 * Two workers over the same stores. One is held still at a moment before or after a write, the other takes over and tells
 * the story to where it was going, or to its end; then the first goes on where it was.
 *
 * @param usual - of so many moments CI tries one; the long form tries all
 * @param command - what to type for the long form, which is kept as `bench/results/frozen-worker-<store>.json`
 */
export function frozenWorkerSuite(
  name: string,
  openDocuments: (key: string) => Promise<DocumentStore>,
  { usual, command }: { usual: number; command: string },
) {
  const long = new LongForm(`frozen-worker-${name.split(' ')[0]!.toLowerCase()}`, command)
  describe(`two workers on ${name}, one of which freezes and thaws`, () => {
    let home: EventHome
    let opened = 0
    beforeAll(async () => {
      home = await openEventHome()
    })
    afterAll(() => home.close())

    const stories = [
      ...Object.entries(STORIES).map(([title, story]) => [title, story, DEFINITIONS, END_H] as const),
      ...Object.entries(REFRESH_STORIES).map(
        ([title, story]) => [title, story, REFRESH_DEFINITIONS, REFRESH_END_H] as const,
      ),
    ]
    it.each(stories)(
      'send nothing twice, lose nothing, leave the same: %s',
      async (title, story, definitions, endH) => {
        const tell = async (freezer: Freezer, thawAtEnd = false) => {
          const documents = await openDocuments(`world${++opened}`)
          const world = await buildWorld(home, { at: START, definitions, documents })
          try {
            const state = await live(world, story, { freezer, thawAtEnd, endH })
            return definitions === REFRESH_DEFINITIONS ? withoutRepeats(state) : state
          } finally {
            await world.close()
            await documents.drop()
            await documents.close()
          }
        }
        const free = new Freezer()
        const undisturbed = await tell(free)
        expect(undisturbed['sent']!.length).toBeGreaterThan(0)
        expect(free.moments.length).toBeGreaterThan(100)

        const bad: string[] = []
        let tried = 0
        for (const moment of chosenOf(free.moments, sized(usual, 1), title.length)) {
          const freezer = new Freezer(moment)
          const state = await tell(freezer, tried++ % 2 === 1)
          const differing = Object.keys(state).filter((key) => !sameJson(state[key], undisturbed[key]))
          if (freezer.heldAt === undefined) differing.push('was never held')
          if (differing.length > 0)
            bad.push(`${moment}, ${freezer.heldAt}: ${describeDiff(state, undisturbed, differing)}`)
        }
        await long.keep({ story: title, moments: free.moments.length, tried, bad })
        expect(bad).toEqual([])
        expect(tried).toBeGreaterThan(3)
      },
    )
  })
}

/** Of so many moments one, from `first` on, so that stories meet different writes; of the few at a refresh's cursor more. */
function chosenOf(moments: readonly string[], stride: number, first: number): number[] {
  const every = (n: number, chosen: readonly number[]) => chosen.filter((_moment, i) => i % n === first % n)
  const isCursor = (moment: number) => / (refreshes|overtaken)\./.test(moments[moment - 1]!)
  const all = moments.map((_name, i) => i + 1)
  return [
    ...every(
      stride,
      all.filter((moment) => !isCursor(moment)),
    ),
    ...every(Math.ceil(stride / 8), all.filter(isCursor)),
  ]
}

type Telling = { freezer: Freezer; thawAtEnd: boolean; endH: number }

async function live(world: World, story: readonly Action[], { freezer, thawAtEnd, endH }: Telling): Promise<State> {
  const end = new Date(Date.parse(START) + endH * HOUR_MS)
  const first = new Worker('first', world, freezer)
  const second = new Worker('second', world)
  let teller = first
  let sleeping: Promise<unknown> | undefined
  for (const action of [...story, (w: Worker) => w.until(end)]) {
    const told = action(teller)
    if (teller === second || (await heldOrDone(told, freezer)) === 'done') {
      await told
      continue
    }
    teller = second
    await action(second)
    if (thawAtEnd) {
      sleeping = told
      continue
    }
    freezer.thaw()
    await told
  }
  freezer.thaw()
  await sleeping
  await second.until(new Date(end.getTime() + HOUR_MS))
  return stateOf(world)
}

function heldOrDone(told: Promise<unknown>, freezer: Freezer): Promise<'held' | 'done'> {
  return Promise.race([told.then(() => 'done' as const), freezer.reached().then(() => 'held' as const)])
}

type State = Record<string, unknown[]>

/** What is true in the end, without when it became true: taking over takes time. */
async function stateOf(world: World): Promise<State> {
  const state: State = {}
  const collect = async <T extends object>(name: string, docs: AsyncIterable<T[]>, look: (doc: T) => unknown) => {
    const seen: unknown[] = []
    for await (const batch of docs) seen.push(...batch.map(look))
    state[name] = inOrder(seen)
  }
  const { docs } = world
  await collect('touches', docs.touches.scan({}), (t) => [t._id, t.profileId, t.state, t.reason, t.senderUserId])
  await collect('runs', docs.runs.scan({}), (r) => [r._id, r.profileId, r.state, r.outcome, r.path, r.arm, r.version])
  // A card is named by the instant at which it was written down, as messages are: it is left out.
  await collect('tasks', docs.tasks.scan({ outcome: { $ne: 'superseded' } }), (t) => [
    t.profileId,
    t.state,
    t.outcome,
    [...t.touchIds].sort(),
  ])
  await collect('refusals', docs.refusals.scan({}), (r) => [r.journeyId, r.profileId, r.reason])
  const valuesOf = (tags: object) => Object.entries(tags).map(([id, { v }]: [string, { v: string }]) => `${id}=${v}`)
  await collect('profileTags', docs.profileTags.scan({}), ({ _id, tags }) => [_id, valuesOf(tags).sort()])
  state['profileTags'] = state['profileTags']!.filter((doc) => (doc as [number, string[]])[1].length > 0)
  await collect('coupons', docs.coupons.scan({}), (c) => [c.state, c.touchId])
  const isOpen: Filter<DispatchDoc> = { state: { $in: ['new', 'ready', 'sending', 'created', 'unknown'] } }
  await collect('open', docs.dispatches.scan(isOpen), (d) => [d.channel, d.state, d.recipients])
  await collect('waiting', docs.batches.scan({ state: { $ne: 'done' } }), (b) => [b._id, b.state])
  for (const name of ['profiles', 'identifiers', 'evidence', 'conflicts', 'merges'] as const)
    await collect<object>(name, docs[name].scan({}), (doc) => withoutInstants({ ...doc, seq: undefined }))
  const Row = z.record(z.string(), z.unknown())
  const owner = 'if(p.merged_into = 0, e.profile_id, p.merged_into)'
  const withoutCards = (rows: Record<string, unknown>[]) =>
    inOrder(JSON.parse(JSON.stringify(rows).replaceAll(/\btask:[0-9a-f]{20}/g, 'task')) as unknown[])
  const events = await world.query(
    `SELECT ${owner} AS owner, e.name, e.event_id, e.source, e.amount_minor
     FROM events e LEFT JOIN (SELECT * FROM profiles FINAL) p ON p.profile_id = e.profile_id ORDER BY 1, 2, 3`,
    Row,
  )
  state['events'] = withoutCards(events)
  for (const [table, columns] of Object.entries({
    'profiles FINAL': 'profile_id, anchor, traits, identifier_types, merged_into',
    tag_changes: 'tag_id, profile_id, old_value, new_value, cause',
    'tag_state FINAL': 'profile_id, tag_id, value',
    trait_changes: 'profile_id, unit, trait, said, value, source, ref, won',
    consent_changes: 'profile_id, unit, said, value, source, ref, won',
    identity_changes: 'unit, type, profile_id',
  })) {
    state[table] = withoutCards(await world.query(`SELECT ${columns} FROM ${table} ORDER BY ${columns}`, Row))
  }
  const sent = [...world.wecom.sent, ...world.task.sent]
  state['sent'] = inOrder(sent.flatMap((s) => s.recipients.map((r) => `${r.touchId} → ${r.to}`)))
  return state
}

/**
 * A range and the evaluation that follows it may both record what they find, and an entry that both find is refused to the
 * second (docs/adr/0005-refresh-beside-ingest.md).
 */
function withoutRepeats({ refusals: _refusals, tag_changes, ...rest }: State): State {
  const distinct = new Map(tag_changes!.map((row) => [JSON.stringify(row), row]))
  return { ...rest, tag_changes: [...distinct.values()] }
}

function inOrder(seen: unknown[]): unknown[] {
  return seen.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

function withoutInstants(value: unknown): unknown {
  if (value instanceof Date) return undefined
  if (Array.isArray(value)) return value.map(withoutInstants)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutInstants(item)]))
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** What is there too much, and what is missing. */
function describeDiff(state: State, expected: State, keys: readonly string[]): string {
  return keys
    .map((key) => {
      const texts = (list: unknown[] = []) => list.map((item) => JSON.stringify(item))
      const [found, wanted] = [texts(state[key]), texts(expected[key])]
      return `${key} +${without(found, wanted).join()} -${without(wanted, found).join()}`
    })
    .join('; ')
}

/** With repeats: what is there twice and wanted once is there once too often. */
function without(list: readonly string[], others: readonly string[]): string[] {
  const left = [...others]
  return list.filter((item) => {
    const at = left.indexOf(item)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
