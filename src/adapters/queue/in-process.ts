import { quietLog, type Log } from '../../log.js'
import {
  type Concurrency,
  DEFAULT_CONCURRENCY,
  eachGroup,
  type Group,
  GROUPS,
  type JobQueue,
} from '../../ports/job-queue.js'
import { elapsedMs } from '../../time.js'
import { closedError, turnName, pauseAfter, planJob, reportFailure, RunningJobs, type JobPlan } from './running-jobs.js'
import { Turns } from './turns.js'

export type InProcessQueueOptions = {
  /** Jobs of a group at a time; default `DEFAULT_CONCURRENCY`. */
  concurrency?: Partial<Concurrency>
  log?: Log
}

type Job = { name: string; group: Group; json: string; plan: JobPlan; attempt: number }

/** The longest pause `setTimeout` can make. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Jobs in memory: gone with the process, as the port allows. */
export function openInProcessQueue({ concurrency, log = quietLog }: InProcessQueueOptions = {}): JobQueue {
  const jobs = new RunningJobs(log)
  const keys = new Set<string>()
  const idlers = new Set<{ resolve: () => void; reject: (err: Error) => void }>()
  const limits = { ...DEFAULT_CONCURRENCY, ...concurrency }
  const groups = new Map(GROUPS.map((group) => [group, { turns: new Turns<Job>(limits[group]), failed: 0 }]))
  let delayed: { dueMs: number; job: Job }[] = [] // ascending by dueMs, equal ones in order of arrival
  let epoch = 0 // changes when everything is dropped, so that a running job does not come back
  let started = false
  let closing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let pumping: NodeJS.Immediate | undefined

  const line = (job: Job) => groups.get(job.group)!.turns.push(turnName(job.name, job.plan), job)

  function enqueue(job: Job, delayMs: number): void {
    if (delayMs === 0) {
      line(job)
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
    while (delayed[0] !== undefined && delayed[0].dueMs <= nowMs) line(delayed.shift()!.job)
    setTimer()
    for (const { turns } of groups.values()) {
      for (let job = started ? turns.take() : undefined; job !== undefined; job = turns.take()) {
        if (job.attempt === 1 && job.plan.key !== undefined) keys.delete(job.plan.key)
        void run(job)
      }
    }
    if ([...groups.values()].some(({ turns }) => turns.waiting + turns.active > 0)) return
    for (const idler of idlers) idler.resolve()
    idlers.clear()
  }

  async function run(job: Job): Promise<void> {
    const startedIn = epoch
    const group = groups.get(job.group)!
    try {
      await jobs.run(job.name, (JSON.parse(job.json) as { data?: unknown }).data, job.plan)
    } catch (err) {
      const pauseMs = pauseAfter(err, job.attempt, job.plan)
      reportFailure(log, job.name, job.attempt, pauseMs, err)
      if (startedIn === epoch) {
        if (pauseMs === undefined) group.failed++
        else if (closing === undefined) enqueue({ ...job, attempt: job.attempt + 1 }, pauseMs)
      }
    } finally {
      group.turns.leave(turnName(job.name, job.plan))
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
    handle: (name, handler, options) => jobs.handle(name, handler, options),
    async start() {
      started = true
      wake()
    },
    async add(name, data, options) {
      if (closing !== undefined) throw closedError()
      const plan = planJob(name, options)
      const group = jobs.groupOf(name)
      const json = JSON.stringify({ data }) // as Redis would keep it, so that a handler sees the same on both
      if (plan.key !== undefined) {
        if (keys.has(plan.key)) return
        keys.add(plan.key)
      }
      enqueue({ name, group, json, plan, attempt: 1 }, plan.delayMs)
    },
    idle() {
      if (closing !== undefined) return Promise.reject(closedError())
      return new Promise((resolve, reject) => {
        idlers.add({ resolve, reject })
        wake()
      })
    },
    async counts() {
      return eachGroup((group) => {
        const { turns, failed } = groups.get(group)!
        const due = delayed.filter(({ job }) => job.group === group).length
        return { waiting: turns.waiting, delayed: due, active: turns.active, failed }
      })
    },
    async ping() {
      if (closing !== undefined) throw closedError()
    },
    async drop() {
      for (const group of groups.values()) {
        group.turns.clear()
        group.failed = 0
      }
      delayed = []
      keys.clear()
      epoch++
      wake()
    },
    close: (graceMs = 10_000) => (closing ??= close(graceMs)),
  }
}
