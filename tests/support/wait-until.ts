import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 10
/** Two minutes of an idle machine; a slow one takes longer for each, so that it has more time as well. */
const POLLS = 12_000

/**
 * Resolves once `condition` holds. Real time, also where a test has fake timers.
 *
 * @param what - what is waited for, for the message: "the callback", "ten starts"
 * @throws {Error} when it does not come within a bounded number of looks; whatever `condition` throws
 */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  { what }: { what: string },
): Promise<void> {
  for (let polls = 0; !(await condition()); polls++) {
    if (polls === POLLS) throw new Error(`waited in vain for ${what}: looked ${POLLS} times, every ${POLL_MS} ms`)
    await sleep(POLL_MS)
  }
}

/** Lets everything in this process that can go on go on: what has not happened after that waits for something. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await nextTurn()
}
