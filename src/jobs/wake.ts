import { messageOf } from '../errors.js'
import { type Log, throttled } from '../log.js'
import type { JobOptions, JobQueue } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { REFRESH_LANE, type Work, workTimes } from '../services/runtime/lanes.js'
import { nextScheduleAt } from '../services/runtime/run-schedules.js'
import { SECOND_MS } from '../time.js'
import { Calendar } from './calendar.js'
import { repeat } from './repeat.js'

export type WakeOptions = { log: Log; /** Into how many shards work is split. */ split: { readonly current: number } }

/** How often a second timers are looked at, while there are any. */
const LOOKS = 5

/**
 * Looks every second which lanes have work within it and adds jobs for each to its group, where a burst delays no other:
 * timers are kept to a part of a second, lost jobs are found again. Calendars are woken at their minute.
 */
export function startWaking(queue: JobQueue, deps: ServiceDeps, options: WakeOptions): { stop(): Promise<void> } {
  const { split } = options
  const log = throttled(options.log)
  const wake = async () => {
    const work = await workTimes(deps, split.current, (lane, err) =>
      log.error('lane cannot tell when it is due', { lane, cause: messageOf(err) }),
    )
    for (const [name, hint] of hintsFor(work, deps.clock.now())) await queue.add(name, undefined, hint)
  }
  const wakeCalendars = async () => {
    const at = await nextScheduleAt(deps)
    if (at !== undefined && at <= deps.clock.now()) await queue.add(REFRESH_LANE, undefined, { key: REFRESH_LANE })
  }
  const failed = (err: unknown) => log.error('waking failed', { cause: messageOf(err) })
  const calendar = new Calendar(() => wakeCalendars().catch(failed))
  const beat = repeat(SECOND_MS, async () => {
    await calendar.follow(deps.clock.now())
    await wake().catch(failed)
  })
  return {
    stop: async () => {
      await beat.stop()
      await calendar.stop()
      log.flush()
    },
  }
}

/** Jobs for the work of the second that begins now; later ones are for the next look. */
export function hintsFor(work: readonly Work[], now: Date): [name: string, hint: JobOptions][] {
  return work.flatMap(({ name, shard, at, timed }) => {
    const firstMs = Math.max(0, at.getTime() - now.getTime())
    if (firstMs >= SECOND_MS) return []
    const looks = Array.from({ length: LOOKS - 1 }, (_, i) => ((i + 1) * SECOND_MS) / LOOKS)
    const times = [firstMs, ...(timed ? looks.filter((ms) => ms > firstMs) : [])]
    // A job that waits for its moment must not stand for one that is wanted at once: each has a key of its own.
    return times.map((delayMs, i): [string, JobOptions] => [
      name,
      { key: delayMs === 0 ? name : `${name} ${i}`, shard, delayMs },
    ])
  })
}
