import type { JobCounts, JobQueue } from '../ports/job-queue.js'

/**
 * One queue to the outside; the named jobs have each a queue of their own inside, so that they never wait for another job.
 */
export function queueBeside(main: JobQueue, beside: ReadonlyMap<string, JobQueue>): JobQueue {
  const all = [main, ...beside.values()]
  const of = (name: string) => beside.get(name) ?? main
  return {
    kind: main.kind,
    handle: (name, handler) => of(name).handle(name, handler),
    start: async () => {
      for (const queue of all) await queue.start()
    },
    add: (name, data, options) => of(name).add(name, data, options),
    async idle() {
      // A job of one may have added one to another.
      for (;;) {
        await Promise.all(all.map((queue) => queue.idle()))
        const { waiting, active } = await countsOf(all)
        if (waiting + active === 0) return
      }
    },
    counts: () => countsOf(all),
    ping: async () => void (await Promise.all(all.map((queue) => queue.ping()))),
    drop: async () => void (await Promise.all(all.map((queue) => queue.drop()))),
    close: async (graceMs) => void (await Promise.all(all.map((queue) => queue.close(graceMs)))),
  }
}

async function countsOf(queues: readonly JobQueue[]): Promise<JobCounts> {
  const sum: JobCounts = { waiting: 0, delayed: 0, active: 0, failed: 0 }
  for (const queue of queues) {
    const counts = await queue.counts()
    for (const state of Object.keys(sum) as (keyof JobCounts)[]) sum[state] += counts[state]
  }
  return sum
}
