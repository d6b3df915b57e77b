import { quietLog, type Log } from '../../log.js'
import type { JobQueue } from '../../ports/job-queue.js'
import { elapsedMs } from '../../time.js'
import { closedError, pauseAfter, planJob, reportFailure, RunningJobs, type JobPlan } from './running-jobs.js'

export type InProcessQueueOptions = {
  /** Jobs at a time; default 1. */
  concurrency?: number
  log?: Log
}

type Job = { name: string; json: string; plan: JobPlan; attempt: number }

/** The longest pause `setTimeout` can make. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Jobs in memory: gone with the process, as the port allows. */
export function openInProcessQueue({ concurrency = 1, log = quietLog }: InProcessQueueOptions = {}): JobQueue {
  const jobs = new RunningJobs(log)
  const keys = new Set<string>()
  const idlers = new Set<{ resolve: () => void; reject: (err: Error) => void }>()
  let waiting = new Fifo<Job>()
  let delayed: { dueMs: number; job: Job }[] = [] // ascending by dueMs, equal ones in order of arrival
  let failed = 0
  let active = 0
  let epoch = 0 // changes when everything is dropped, so that a running job does not come back
  let started = false
  let closing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let pumping: NodeJS.Immediate | undefined

  function enqueue(job: Job, delayMs: number): void {
    if (delayMs === 0) {
      waiting.push(job)
      wake()
      return
    }
    const dueMs = elapsedMs() + delayMs
    delayed.splice(delayed.findLastIndex((other) => other.dueMs <= dueMs) + 1, 0, { dueMs, job })
    setTimer()
  }

  function setTimer(): void {
    clearTimeout(timer)
    const next = delayed[0]
    if (next !== undefined) timer = setTimeout(wake, Math.min(Math.max(next.dueMs - elapsedMs(), 0), MAX_TIMER_MS))
  }

  /** Between any two jobs the event loop turns once, so that a long chain of jobs starves nobody. */
  function wake(): void {
    pumping ??= setImmediate(() => {
      pumping = undefined
      pump()
    })
  }

  function pump(): void {
    if (closing !== undefined) return
    const nowMs = elapsedMs()
    while (delayed[0] !== undefined && delayed[0].dueMs <= nowMs) waiting.push(delayed.shift()!.job)
    setTimer()
    while (started && active < concurrency) {
      const job = waiting.take()
      if (job === undefined) break
      if (job.attempt === 1 && job.plan.key !== undefined) keys.delete(job.plan.key)
      void run(job)
    }
    if (waiting.size > 0 || active > 0) return
    for (const idler of idlers) idler.resolve()
    idlers.clear()
  }

  async function run(job: Job): Promise<void> {
    const startedIn = epoch
    active++
    try {
      await jobs.run(job.name, (JSON.parse(job.json) as { data?: unknown }).data)
    } catch (err) {
      const pauseMs = pauseAfter(err, job.attempt, job.plan)
      reportFailure(log, job.name, job.attempt, pauseMs, err)
      if (startedIn === epoch) {
        if (pauseMs === undefined) failed++
        else if (closing === undefined) enqueue({ ...job, attempt: job.attempt + 1 }, pauseMs)
      }
    } finally {
      active--
      wake()
    }
  }

  async function close(graceMs: number): Promise<void> {
    clearTimeout(timer)
    for (const idler of idlers) idler.reject(closedError())
    idlers.clear()
    await jobs.settle(graceMs)
  }

  return {
    kind: 'in-process',
    handle: (name, handler) => jobs.handle(name, handler),
    async start() {
      started = true
      wake()
    },
    async add(name, data, options) {
      if (closing !== undefined) throw closedError()
      const plan = planJob(name, options)
      const json = JSON.stringify({ data }) // as Redis would keep it, so that a handler sees the same on both
      if (plan.key !== undefined) {
        if (keys.has(plan.key)) return
        keys.add(plan.key)
      }
      enqueue({ name, json, plan, attempt: 1 }, plan.delayMs)
    },
    idle() {
      if (closing !== undefined) return Promise.reject(closedError())
      return new Promise((resolve, reject) => {
        idlers.add({ resolve, reject })
        wake()
      })
    },
    async counts() {
      return { waiting: waiting.size, delayed: delayed.length, active, failed }
    },
    async ping() {
      if (closing !== undefined) throw closedError()
    },
    async drop() {
      waiting = new Fifo()
      delayed = []
      keys.clear()
      failed = 0
      epoch++
      wake()
    },
    close: (graceMs = 10_000) => (closing ??= close(graceMs)),
  }
}

/** First in, first out, in constant time however long it gets. */
class Fifo<T> {
  private items: T[] = []
  private head = 0

  get size(): number {
    return this.items.length - this.head
  }

  push(item: T): void {
    this.items.push(item)
  }

  take(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.head++]
    if (this.head > 1_000 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}
