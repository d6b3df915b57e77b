import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { ConflictError, UpstreamError } from '../../src/errors.js'
import { hintLanes } from '../../src/jobs/registry.js'
import { type Log, throttled } from '../../src/log.js'
import { MINUTE_MS, SECOND_MS } from '../../src/time.js'

const SPLIT = { current: 1 }
afterEach(() => {
  jest.useRealTimers()
})

function heard(): Log & { lines: string[] } {
  const lines: string[] = []
  const write = (level: string) => (fact: string, fields?: object) =>
    void lines.push([level, fact, JSON.stringify(fields ?? {})].join(' '))
  return { lines, info: write('info'), warn: write('warn'), error: write('error') }
}

describe('hints for work that is stored', () => {
  it('are given to every shard of a lane', async () => {
    const added: unknown[] = []
    const queue = {
      add: (name: string, _data: unknown, options?: object) => Promise.resolve(void added.push({ name, ...options })),
    }
    await hintLanes(queue, { current: 2 }, heard()).add('send-dispatches', undefined, { key: 'k' })
    expect(added).toEqual([0, 1].map((index) => ({ name: 'send-dispatches', key: 'k', shard: { index, of: 2 } })))
  })

  it('fail nobody while Redis is away, who is not asked again at once, and said once', async () => {
    jest.useFakeTimers()
    const log = heard()
    let asked = 0
    const away = { add: () => (asked++, Promise.reject(new UpstreamError('Redis', 'no_answer', true, 'away'))) }
    const hints = hintLanes(away, SPLIT, log)
    for (let i = 0; i < 100; i++) await hints.add('process-batches', undefined)
    expect(asked).toBe(1)
    expect(log.lines).toEqual([expect.stringContaining('warn no hint')])
    await jest.advanceTimersByTimeAsync(11 * SECOND_MS)
    await hints.add('process-batches', undefined)
    expect(asked).toBe(2)
  })

  it('are waited for no longer than a second', async () => {
    jest.useFakeTimers()
    const log = heard()
    const added = hintLanes({ add: () => new Promise<never>(() => undefined) }, SPLIT, log).add(
      'process-batches',
      undefined,
    )
    await jest.advanceTimersByTimeAsync(SECOND_MS)
    await added
    expect(log.lines).toHaveLength(1)
  })

  it('are no news while the process stops', async () => {
    const log = heard()
    await hintLanes({ add: () => Promise.reject(new ConflictError('closed')) }, SPLIT, log).add(
      'resume-runs',
      undefined,
    )
    expect(log.lines).toEqual([])
  })
})

describe('a trouble that repeats', () => {
  it('is two lines in its first minute and one a minute after it, which say how many were not shown', async () => {
    jest.useFakeTimers()
    const log = heard()
    const quiet = throttled(log)
    for (let i = 0; i < 2_000; i++) quiet.warn('away', { i })
    quiet.warn('something else')
    quiet.info('news')
    quiet.info('news')
    await jest.advanceTimersByTimeAsync(MINUTE_MS)
    quiet.warn('away', { i: 'again' })
    await jest.advanceTimersByTimeAsync(10 * MINUTE_MS)
    quiet.warn('away', { i: 'anew' })
    expect(log.lines).toEqual([
      'warn away {"i":0}',
      'warn something else {}',
      'info news {}',
      'info news {}',
      'warn away {"i":1999,"notShown":1998}',
      'warn away {"i":"again"}',
      'warn away {"i":"anew"}',
    ])
  })

  it('is told to the end where the process stops before the minute is over', () => {
    const log = heard()
    const quiet = throttled(log)
    for (let i = 0; i < 3; i++) quiet.error('away', { i })
    quiet.flush()
    quiet.flush()
    expect(log.lines).toEqual(['error away {"i":0}', 'error away {"i":2,"notShown":1}'])
  })
})
