import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { parseInput } from '../parse.js'
import type { JobHandler, JobQueue } from '../ports/job-queue.js'
import { REFRESH_LANE } from '../services/runtime/lanes.js'
import { type Held, type Leases, type RunAlone, withLease } from '../services/runtime/with-lease.js'

const ASK_AGAIN_MS = 500
const JobData = z.strictObject({ id: z.int() })

/**
 * Runs work while nobody else refreshes, so that no two are at one cursor: among processes under the lease of the lane that
 * does, in one process as a job between two of its own.
 */
export function createRunAlone(queue: JobQueue, leases: Leases | undefined): RunAlone {
  if (leases !== undefined) return (work) => underLease(leases, work)
  const waiting = new Map<number, (held: Held) => Promise<void>>()
  let lastId = 0
  const run: JobHandler = async (data, signal) => {
    const { id } = parseInput(JobData, data)
    await waiting.get(id)?.({ signal, fence: 0, isLate: () => false })
  }
  queue.handle('alone', run, { group: 'refresh' })
  return (work) => {
    const id = ++lastId
    return new Promise((resolve, reject) => {
      waiting.set(id, (held) => {
        waiting.delete(id)
        return work(held).then(resolve, reject)
      })
      queue.add('alone', { id }, { attempts: 1 }).catch(reject)
    })
  }
}

async function underLease<T>(leases: Leases, work: (held: Held) => Promise<T>): Promise<T> {
  const results: T[] = []
  while (!(await withLease(leases, REFRESH_LANE, async (held) => void results.push(await work(held)))))
    await sleep(ASK_AGAIN_MS)
  return results[0]!
}
