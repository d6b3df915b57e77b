import { setImmediate as nextTurn } from 'node:timers/promises'
import Bull from 'bull'
import { Redis, type RedisOptions } from 'ioredis'
import { ConfigError, messageOf, UpstreamError } from '../../errors.js'
import { quietLog, type Log } from '../../log.js'
import type { JobQueue } from '../../ports/job-queue.js'
import { DAY_MS, SECOND_MS, systemClock } from '../../time.js'
import { closedError, pauseAfter, planJob, reportFailure, RunningJobs, type JobPlan } from './running-jobs.js'

export type BullQueueOptions = {
  /** `redis://` or `rediss://`, with a database number as path if wanted. */
  url: string
  /** Queues with one prefix share their jobs; every key in Redis starts with it. */
  prefix: string
  /** Jobs at a time in this process; default 1. */
  concurrency?: number
  log?: Log
  /** How long the job of a crashed process stays with it before it runs again; default 10 s. */
  lockMs?: number
  /** `idle()` reacts to Redis, and looks again after this long in case a message of it was lost; default 50 ms. */
  idleGuardMs?: number
}

/** `data` in an envelope, because Bull turns falsy data into `{}`. */
type Envelope = { data?: unknown; plan: JobPlan }

const OPEN_WITHIN_MS = 4.5 * SECOND_MS
const COMMAND_WITHIN_MS = 5 * SECOND_MS
const IDLE_GUARD_MS = 50
const KEPT_FAILED = 10_000
/** A key outlives the due time of its job by this much at most. */
const KEY_TTL_MS = 7 * DAY_MS
/** A job during which this many processes died is failed, lest it stops all of them for ever. */
const MAX_CRASHES = 20

/**
 * A key points to the job that holds it. It is held until that job starts, which Bull notes as `processedOn` in the same
 * step as it hands the job out, so no crash can leave a key held by a job that will not come.
 */
const FREE_KEY = `
  local id = redis.call('GET', KEYS[1])
  if not id then return 0 end
  local job = ARGV[1] .. id
  if redis.call('EXISTS', job) == 1 and redis.call('HEXISTS', job, 'processedOn') == 0 then return 0 end
  return redis.call('DEL', KEYS[1])`

/**
 * One Bull queue for all names, so that jobs keep their order over all of them.
 *
 * @throws {ConfigError} when `url` is no Redis address
 * @throws {UpstreamError} when Redis is not reached within 5 s; names the host, never the password
 */
export async function openBullQueue(options: BullQueueOptions): Promise<JobQueue> {
  const { url, prefix, concurrency = 1, log = quietLog } = options
  const { lockMs = 10 * SECOND_MS, idleGuardMs = IDLE_GUARD_MS } = options
  const host = hostOf(url)
  const jobs = new RunningJobs(log)
  const changes = new Signal()
  let opened = false
  let closing: Promise<void> | undefined
  let started: Promise<void> | undefined
  let lastError: Error | undefined

  const connect = (extra: RedisOptions): Redis => {
    const redis = new Redis(url, {
      lazyConnect: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: null,
      connectTimeout: OPEN_WITHIN_MS,
      keepAlive: 10 * SECOND_MS,
      // A first connection that fails is an error to show; a later one is made again.
      retryStrategy: (times) => (opened && closing === undefined ? Math.min(times * 100, SECOND_MS) : null),
      ...extra,
    })
    redis.on('error', (err: Error) => {
      lastError = err
      if (opened && closing === undefined) log.warn('redis connection failed', { host, cause: err.message })
    })
    return redis
  }
  const connections = {
    client: connect({ commandTimeout: COMMAND_WITHIN_MS }),
    subscriber: connect({}),
    bclient: connect({}),
  }
  const { client, subscriber } = connections
  const disconnect = (): void => Object.values(connections).forEach((redis) => redis.disconnect())
  // Sockets may die without a word (a cut cable, a paused host). Bull's own checks on `client` notice it within seconds.
  const reconnectIfSilent = (err: unknown): void => {
    if (messageOf(err) !== 'Command timed out' || client.status !== 'ready') return
    log.warn('redis does not answer, connecting anew', { host })
    for (const redis of Object.values(connections)) redis.disconnect(true)
  }
  const toKey = (name: string): string => `${prefix}:jobs:${name}`

  const reach = async <T>(what: string, command: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw closedError()
    try {
      return await command()
    } catch (err) {
      reconnectIfSilent(err)
      throw new UpstreamError('Redis', 'no_answer', true, `cannot ${what} on ${host}: ${messageOf(err)}`, {
        cause: err,
      })
    }
  }

  try {
    await within(OPEN_WITHIN_MS, async () => {
      await Promise.all(Object.values(connections).map((redis) => redis.connect()))
      await client.ping()
      await subscriber.subscribe(toKey('completed'), toKey('failed'), toKey('delayed'))
    })
  } catch (err) {
    disconnect()
    throw unreachable(host, lastError ?? err) // a refused password is told there; the command knows "closed" only
  }
  opened = true
  subscriber.on('message', () => changes.fire())

  const queue = new Bull<Envelope>('jobs', {
    prefix,
    createClient: (type) => connections[type],
    settings: {
      lockDuration: lockMs,
      stalledInterval: Math.ceil(lockMs / 4),
      maxStalledCount: MAX_CRASHES,
      retryProcessDelay: SECOND_MS,
      backoffStrategies: {
        // Bull counts the attempts made, and takes -1 for "no more".
        siyu: (attempt, err, plan: JobPlan) => pauseAfter(err, attempt, plan) ?? -1,
      },
    },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: { count: KEPT_FAILED }, stackTraceLimit: 1 },
  })
  queue.on('error', (err) => {
    if (closing !== undefined) return
    reconnectIfSilent(err)
    log.warn('job queue hiccup', { host, cause: err.message })
  })
  queue.on('failed', (job, err) => {
    const pauseMs = job.finishedOn ? undefined : pauseAfter(err, job.attemptsMade, job.data.plan)
    reportFailure(log, job.name, job.attemptsMade, pauseMs, err)
    changes.fire()
  })
  queue.on('completed', () => changes.fire())

  const freeKey = (key: string): Promise<unknown> => client.eval(FREE_KEY, 1, toKey(`de:${key}`), toKey(''))

  async function run(job: Bull.Job<Envelope>): Promise<void> {
    const { plan, data } = job.data
    if (plan.key !== undefined && job.attemptsMade === 0) {
      // Tidiness only: `add` looks for itself. So nobody waits for it.
      freeKey(plan.key).catch((err: unknown) => log.warn('job key was not tidied', { cause: messageOf(err) }))
    }
    try {
      await jobs.run(job.name, data)
    } catch (err) {
      throw err instanceof Error ? err : new Error(messageOf(err))
    }
  }

  async function isIdle(): Promise<boolean> {
    const due = (systemClock.now().getTime() + 1) * 4_096 // Bull's score: milliseconds × 4096 + a counter
    const replies = await client
      .multi()
      .llen(toKey('wait'))
      .llen(toKey('active'))
      .zcount(toKey('delayed'), '-inf', `(${due}`)
      .exec()
    return replies!.every(([, count]) => count === 0) // null only after WATCH, which is not used here
  }

  async function close(graceMs: number): Promise<void> {
    changes.fire()
    if (started !== undefined) {
      await queue
        .pause(true, true)
        .catch((err: unknown) => log.warn('job queue did not pause', { cause: messageOf(err) }))
      await jobs.settle(graceMs)
      // Bull writes the outcome as soon as a handler has ended; one connection answers in order.
      await nextTurn()
      await client.ping().catch((err: unknown) => log.warn('last outcomes may be lost', { cause: messageOf(err) }))
    }
    await queue.close(true)
    disconnect()
  }

  return {
    kind: 'bull',
    handle: (name, handler) => jobs.handle(name, handler),
    start: () =>
      (started ??= reach('take jobs', async () => {
        await queue.isReady()
        // Resolves only when the queue closes.
        queue.process('*', concurrency, run).catch((err: unknown) => {
          if (closing === undefined) log.error('job queue stopped', { host, cause: messageOf(err) })
        })
      })),
    async add(name, data, options) {
      const plan = planJob(name, options)
      const { key, delayMs, attempts } = plan
      await reach(`add job "${name}"`, () =>
        // Sent in this order on one connection.
        Promise.all([
          key === undefined ? undefined : freeKey(key),
          queue.add(
            name,
            { data, plan },
            {
              delay: delayMs,
              attempts,
              backoff: { type: 'siyu', options: plan },
              ...(key === undefined ? {} : { debounce: { id: key, ttl: delayMs + KEY_TTL_MS } }),
            },
          ),
        ]),
      )
    },
    async idle() {
      for (;;) {
        const changed = changes.next(idleGuardMs) // before looking, so that no change falls between
        if (await reach('look for jobs', isIdle)) return
        await changed
      }
    },
    counts: () =>
      reach('count jobs', async () => {
        const { waiting, delayed, active, failed } = await queue.getJobCounts()
        return { waiting, delayed, active, failed }
      }),
    ping: () => reach('ping', () => client.ping()).then(() => undefined),
    drop: () =>
      reach('drop jobs', async () => {
        for await (const keys of client.scanStream({ match: `${escapeGlob(toKey(''))}*`, count: 1_000 })) {
          if ((keys as string[]).length > 0) await client.unlink(keys as string[])
        }
      }),
    close: (graceMs = 10 * SECOND_MS) => (closing ??= Promise.resolve().then(() => close(graceMs))),
  }
}

/** Something happened; who waits looks again. */
class Signal {
  private waiters = new Set<() => void>()

  fire(): void {
    for (const waiter of this.waiters) waiter()
  }

  /** Resolves at the next `fire`, or after `ms`. */
  next(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.waiters.add(done)
    })
  }
}

async function within(ms: number, work: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / SECOND_MS} s`)), ms)
  })
  await Promise.race([work(), late]).finally(() => clearTimeout(timer))
}

/** Host and port, without name and password. */
function hostOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '') {
    throw new ConfigError('REDIS_URL is not the address of a Redis', [
      {
        path: 'REDIS_URL',
        message: 'cannot be read',
        hint: 'write redis://host:6379 or rediss://user:password@host:6379/0',
      },
    ])
  }
  return parsed.port === '' ? `${parsed.hostname}:6379` : parsed.host
}

function unreachable(host: string, err: unknown): UpstreamError {
  const reason = messageOf(err)
  const refused = /WRONGPASS|NOAUTH|NOPERM/.exec(reason)
  const hint = refused === null ? 'start it or correct REDIS_URL' : 'correct user and password in REDIS_URL'
  const code = refused?.[0] ?? (err instanceof Error && 'code' in err ? String(err.code) : 'unreachable')
  return new UpstreamError('Redis', code, refused === null, `no connection to ${host}: ${reason}; ${hint}`, {
    cause: err,
  })
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
