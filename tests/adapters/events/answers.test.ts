import { describe, expect, it, jest } from '@jest/globals'
import { Answers, silentAfterMs } from '../../../src/adapters/events/answers.js'
import { QUEUE_TIMEOUT_MS } from '../../../src/adapters/events/clickhouse-client.js'

describe('Answers', () => {
  const never = () => new Promise<never>(() => {})
  const said: [unknown, number][] = []
  const open = () =>
    new Answers((line, waitedMs) => {
      said.push([line, waitedMs])
      return new Error('silent')
    })

  it('refuses all once a line gives no answer, and says so once', async () => {
    jest.useFakeTimers()
    try {
      const answers = open()
      const waits = [answers.run('a', 3_000, never), answers.run('b', 60_000, never)].map((w) => w.catch(String))
      jest.advanceTimersByTime(3_000)
      expect(answers.isSilent).toBe(false)
      jest.advanceTimersByTime(1_000)
      expect(answers.isSilent).toBe(true)
      expect(await Promise.all(waits)).toEqual(['Error: silent', 'Error: silent'])
      await expect(answers.run('c', 60_000, () => Promise.resolve(1))).rejects.toThrow('silent')
      expect(said.splice(0)).toEqual([['a', 4_000]])
      expect(jest.getTimerCount()).toBe(0)
    } finally {
      jest.useRealTimers()
    }
  })

  it('goes on while anything of a line ends, as an answer or as an error, and counts nothing while it has nothing to do', async () => {
    jest.useFakeTimers()
    try {
      const answers = open()
      const long = answers.run('a', 3_000, () => new Promise((resolve) => setTimeout(resolve, 11_500, 'at last')))
      for (let i = 0; i < 4; i++) {
        const failing = answers.run('a', 3_000, () => new Promise((_, reject) => setTimeout(reject, 2_500, 'no')))
        const failed = expect(failing).rejects.toBe('no')
        await jest.advanceTimersByTimeAsync(2_500)
        await failed
      }
      await jest.advanceTimersByTimeAsync(1_500)
      expect(await long).toBe('at last')
      expect(jest.getTimerCount()).toBe(0)
      await jest.advanceTimersByTimeAsync(60_000)
      expect(await answers.run('a', 3_000, () => Promise.resolve(2))).toBe(2)
      expect(said).toEqual([])
    } finally {
      jest.useRealTimers()
    }
  })

  it('waits far longer than the engine lets a statement run', () => {
    for (const limitMs of Object.values(QUEUE_TIMEOUT_MS))
      expect(silentAfterMs(limitMs)).toBeGreaterThanOrEqual(2 * limitMs)
  })
})
