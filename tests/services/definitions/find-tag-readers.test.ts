import { describe, expect, it } from '@jest/globals'
import { InvalidInputError, type Problem } from '../../../src/errors.js'
import { publishDefinitions } from '../../../src/services/definitions/publish-definitions.js'
import { publishedVersion } from '../../../src/services/definitions/read-published.js'
import { HOUR_MS } from '../../../src/time.js'
import { said } from '../../../src/said.js'
import { contactRecord, define, type Definitions, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World

const START = '2026-03-02T02:00:00Z'
const after = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const KEEN = { id: 'keen', type: 'flag', when: { event: 'asked' } }
const IDLE = { id: 'idle', type: 'flag', when: { event: 'idled' } }
const asking = (rule: object) => ({
  id: 'care',
  enter: { on: 'asked' },
  steps: [{ wait: '1h' }, { branch: [{ if: rule, do: [{ wait: '5h' }] }] }],
})
const plain = { id: 'care', enter: { on: 'asked' }, steps: [{ wait: '1h' }] }
const segments = { buyers: { tag: 'keen' } }

async function start(definitions: Definitions, people = 1): Promise<void> {
  world = await openWorld({ at: START, definitions })
  const names = Array.from({ length: people }, (_, i) => `m${i}`)
  await world.accept('a', ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, 'asked', START)]))
  await world.run()
}

/** What publishing is refused for. */
async function refused(definitions: Definitions): Promise<readonly Problem[]> {
  const err: unknown = await publishDefinitions(world.deps, define(definitions)).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(err).toBeInstanceOf(InvalidInputError)
  return (err as InvalidInputError).problems
}

describe('a tag that waiting runs read', () => {
  it('is not removed: how many they are and the first of them are named, and nothing changes', async () => {
    await start({ tags: [KEEN, IDLE], journeys: [asking({ tag: 'keen' })] }, 12)
    const before = [await publishedVersion(world.docs), await world.docs.published.count({})]
    const problems = await refused({ journeys: [plain] })
    const first = (await world.docs.runs.find({}, { limit: 10 })).map((r) => r._id)
    expect(problems).toEqual([
      {
        path: 'tags.keen',
        message: said(
          `被删除，但还有 12 个在途的旅程要读它：${first.join(', ')} …`,
          `it is removed, but 12 waiting runs read it: ${first.join(', ')} …`,
        ),
        hint: expect.stringMatching(/until they have ended/) as unknown,
      },
    ])
    expect([await publishedVersion(world.docs), await world.docs.published.count({})]).toEqual(before)
  })

  it('does not become another type', async () => {
    await start({ tags: [KEEN], journeys: [asking({ tag: 'keen' })] })
    const number = { id: 'keen', type: 'number', value: { event: 'asked', count: true } }
    const [problem] = await refused({ tags: [number], journeys: [plain] })
    expect(problem!.message).toMatch(/its type flag → number, but 1 waiting runs read it: care:1:0$/)
  })

  it('is found behind a segment that the run stays on, or that is the one of today', async () => {
    await start({ tags: [KEEN], segments, journeys: [asking({ segment: 'buyers' })] })
    const without: Definitions = { segments: { buyers: { event: 'paid' } }, journeys: [plain] }
    expect(await refused(without)).toMatchObject([{ path: 'tags.keen' }])
    await world.docs.runs.updateMany({}, { $unset: { pins: 1 } })
    await publishDefinitions(world.deps, define(without))
  })

  it('may go once they are past the branch, and change in anything but its type', async () => {
    await start({ tags: [KEEN], journeys: [asking({ tag: 'keen' })] })
    await world.publish({ tags: [{ ...KEEN, when: { event: 'paid' } }], journeys: [asking({ tag: 'keen' })] })
    await world.publish({ tags: [KEEN], journeys: [asking({ tag: 'keen' })] })
    await world.until(after(2))
    expect(await world.docs.runs.findOne({ state: 'waiting' })).toMatchObject({ path: '1.0.0' })
    await publishDefinitions(world.deps, define({ journeys: [plain] }))
  })
})
