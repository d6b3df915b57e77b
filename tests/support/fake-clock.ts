import { jest } from '@jest/globals'

/**
 * The clocks of this process (`Date`, `performance`) stand still, here and in the code under test, until `pass`. Timers stay
 * real: whoever waits for an instant looks again and again, and finds it only once the clock has been moved there.
 * `jest.useRealTimers()` ends it.
 */
export function stopClocks(at: string | Date = '2026-03-02T02:00:00Z'): { pass: (ms: number) => void } {
  jest.useFakeTimers({
    now: new Date(at),
    doNotFake: [
      ...(['hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
      ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
    ],
  })
  return { pass: (ms) => void jest.advanceTimersByTime(ms) }
}
