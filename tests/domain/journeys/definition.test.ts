import { describe, expect, it } from '@jest/globals'
import { InvalidInputError } from '../../../src/errors.js'
import { exitEvents, Journey, placeSteps, PublishedJourney } from '../../../src/domain/journeys/definition.js'
import { parseInput } from '../../../src/parse.js'

const send = { send: { channel: 'wecom', content: 'hello' } }
const base = {
  id: 'a-journey',
  name: 'a journey',
  enter: { on: 'registered' },
  goal: { event: 'order_paid', within: '7d' },
  steps: [send],
}

function pathsOf(input: unknown): string[] {
  try {
    parseInput(Journey, input)
  } catch (err) {
    if (err instanceof InvalidInputError) return err.problems.map((p) => p.path)
    throw err
  }
  return []
}

describe('a journey file', () => {
  it.each([
    ['10%', 0.1],
    ['12.5%', 0.125],
    [0.2, 0.2],
    [undefined, 0],
  ])('reads the holdout %j as %d', (holdout, ratio) => {
    expect(parseInput(Journey, { ...base, holdout }).holdout).toBeCloseTo(ratio, 12)
  })

  it('reads a time of day as minutes since midnight', () => {
    const { steps } = parseInput(Journey, { ...base, steps: [{ wait: { until: '10:30' } }] })
    expect(steps).toEqual([{ wait: { until: 630, afterDays: 0 } }])
  })

  it('tells the events that end a run, one or several', () => {
    expect(exitEvents(parseInput(Journey, base))).toEqual([])
    expect(exitEvents(parseInput(Journey, { ...base, exit: { on: 'left' } }))).toEqual(['left'])
    expect(exitEvents(parseInput(Journey, { ...base, exit: { on: ['left', 'bought'] } }))).toEqual(['left', 'bought'])
  })

  it.each<[string, object, string]>([
    ['no goal', { goal: undefined }, 'goal'],
    ['a goal without its window', { goal: { event: 'order_paid' } }, 'goal.within'],
    ['no step', { steps: [] }, 'steps'],
    ['a capital in its id', { id: 'Welcome' }, 'id'],
    ['a step id with a blank', { steps: [{ id: 'a b', ...send }] }, 'steps.0.id'],
    ['an unknown channel', { steps: [{ send: { channel: 'sms', content: 'x' } }] }, 'steps.0.send.channel'],
    ['a wait that is no duration', { steps: [{ wait: 'a day' }] }, 'steps.0.wait'],
    ['a time that no clock shows', { steps: [{ wait: { until: '24:00' } }] }, 'steps.0.wait.until'],
    ['a mistake in an arm', { steps: [{ branch: [{ else: [{ wait: 'x' }] }] }] }, 'steps.0.branch.0.else.0.wait'],
    ['a holdout of everybody', { holdout: 1 }, 'holdout'],
    ['an entry by a wrong cron', { enter: { every: 'mondays', when: { event: 'a' } } }, 'enter.every'],
    ['a reentry without a limit', { reenter: { after: '7d' } }, 'reenter.max'],
    ['a misspelt field', { holdouts: '10%' }, 'holdouts'],
    ['a misspelt kind of step', { steps: [{ sned: { channel: 'wecom', content: 'x' } }] }, 'steps.0.sned'],
    ['a step of two kinds', { steps: [{ ...send, exit: true }] }, 'steps.0'],
    ['a step that only a newer version reads', { steps: [{ unknown: 'x' }] }, 'steps.0.unknown'],
  ])('is refused for %s, by the name of the field', (_what, change, path) => {
    expect(pathsOf({ ...base, ...change })).toContain(path)
  })

  it('takes `else` last and once', () => {
    const arm = { if: { event: 'a' }, do: [send] }
    expect(pathsOf({ ...base, steps: [{ branch: [arm, { else: [send] }] }] })).toEqual([])
    expect(pathsOf({ ...base, steps: [{ branch: [{ else: [send] }, arm] }] })).not.toEqual([])
    expect(pathsOf({ ...base, steps: [{ branch: [{ else: [send] }, { else: [send] }] }] })).not.toEqual([])
  })
})

describe('a published journey', () => {
  it('keeps steps of a newer version in their places, and everything around them', () => {
    const steps = [
      send,
      { id: 'draw', lottery: { pool: 'spring' } },
      {
        branch: [
          { if: { event: 'a' }, do: [{ wait: '1d' }, { wait: { weekday: 'mon' } }] },
          { else: [{ exit: true }] },
        ],
      },
      { branch: [{ if: { weather: 'rain' }, do: [send] }] },
      { id: 7, send: { channel: 'sms', content: 'hello' } },
    ]
    const read = parseInput(PublishedJourney, { ...base, steps })
    expect(placeSteps(read.steps).map((p) => [p.path, p.stepId, Object.keys(p.step).at(-1)])).toEqual([
      ['0', '0', 'send'],
      ['1', 'draw', 'unknown'],
      ['2', '2', 'branch'],
      ['2.0.0', '2.0.0', 'wait'],
      ['2.0.1', '2.0.1', 'unknown'],
      ['2.1.0', '2.1.0', 'exit'],
      ['3', '3', 'unknown'],
      ['4', '4', 'unknown'],
    ])
    expect(read.steps[1]).toEqual({
      id: 'draw',
      unknown: expect.stringContaining('unknown field "lottery"') as unknown,
    })
    expect(() => parseInput(Journey, { ...base, steps })).toThrow(InvalidInputError)
  })
})

describe('placeSteps', () => {
  it('names every step of every arm by its path, and takes a step id where there is one', () => {
    const { steps } = parseInput(Journey, {
      ...base,
      steps: [
        send,
        {
          branch: [
            { if: { event: 'a' }, do: [send, { branch: [{ else: [{ id: 'deep', ...send }] }] }] },
            { else: [{ exit: true }] },
          ],
        },
        { id: 'last', wait: '1d' },
      ],
    })
    expect(placeSteps(steps).map((p) => [p.path, p.stepId])).toEqual([
      ['0', '0'],
      ['1', '1'],
      ['1.0.0', '1.0.0'],
      ['1.0.1', '1.0.1'],
      ['1.0.1.0.0', 'deep'],
      ['1.1.0', '1.1.0'],
      ['2', 'last'],
    ])
  })
})
