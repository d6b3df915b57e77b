import { setImmediate as nextTurn } from 'node:timers/promises'
import Bull from 'bull'
import { Redis, type RedisOptions } from 'ioredis'
import { ConfigError, messageOf, UpstreamError } from '../../errors.js'
import { said } from '../../said.js'
import { type Log, quietLog, throttled } from '../../log.js'
import {
  type Concurrency,
  DEFAULT_CONCURRENCY,
  eachGroup,
  type Group,
  GROUPS,
  type JobQueue,
} from '../../ports/job-queue.js'
import { DAY_MS, SECOND_MS, systemClock } from '../../time.js'
import { closedError, pauseAfter, planJob, reportFailure, RunningJobs, turnName, type JobPlan } from './running-jobs.js'
import { Turns } from './turns.js'

export type BullQueueOptions = {
  /** `redis://` or `rediss://`, with a database number as path if wanted. */
  url: string
  /** Queues with one prefix share their jobs; every key in Redis starts with it. */
  prefix: string
  /** Jobs of a group at a time in this process; default `DEFAULT_CONCURRENCY`. */
  concurrency?: Partial<Concurrency>
  log?: Log
  /** How long the job of a crashed process stays with it before it runs again; default 10 s. */
  lockMs?: number
  /** `idle()` reacts to Redis, and looks again after this long in case a message of it was lost; default 50 ms. */
  idleGuardMs?: number
}

/** `data` in an envelope, because Bull turns falsy data into `{}`. */
type Envelope = { data?: unknown; plan: JobPlan }

/** What the names of our queues in Redis begin with. */
const QUEUES = 'jobs-'
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

/** One group: its queue in Redis, and whose turn it is among the jobs that were taken from it. */
type Line = {
  queue: Bull.Queue<Envelope>
  turns: Turns<() => void>
  /** Of names that run just now, by key: added again as soon as these have ended. */
  postponed: Map<string, Bull.Job<Envelope>[]>
}

/**
 * One Bull queue a group.
 *
 * @throws {ConfigError} when `url` is no Redis address
 * @throws {UpstreamError} when Redis is not reached within 5 s; names the host, never the password
 */
export async function openBullQueue(options: BullQueueOptions): Promise<JobQueue> {
  const { url, prefix } = options
  const log = throttled(options.log ?? quietLog)
  const { lockMs = 10 * SECOND_MS, idleGuardMs = IDLE_GUARD_MS } = options
  const concurrency = { ...DEFAULT_CONCURRENCY, ...options.concurrency }
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
  const client = connect({ commandTimeout: COMMAND_WITHIN_MS })
  const subscriber = connect({})
  // Waiting for a job blocks a connection.
  const takers = eachGroup(() => connect({}))
  const connections = [client, subscriber, ...Object.values(takers)]
  const disconnect = (): void => connections.forEach((redis) => redis.disconnect())
  // Sockets may die without a word (a cut cable, a paused host). Bull's own checks on `client` notice it within seconds.
  const reconnectIfSilent = (err: unknown): void => {
    if (messageOf(err) !== 'Command timed out' || client.status !== 'ready') return
    log.warn('redis does not answer, connecting anew', { host })
    for (const redis of connections) redis.disconnect(true)
  }
  const toKey = (group: Group, name: string): string => `${prefix}:${queueOf(group)}:${name}`

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
      await Promise.all(connections.map((redis) => redis.connect()))
      await client.ping()
      const channels = ['completed', 'failed', 'delayed']
      await subscriber.subscribe(...GROUPS.flatMap((group) => channels.map((channel) => toKey(group, channel))))
    })
  } catch (err) {
    disconnect()
    throw unreachable(host, lastError ?? err) // a refused password is told there; the command knows "closed" only
  }
  opened = true
  subscriber.on('message', () => changes.fire())

  const openLine = (group: Group): Line => {
    const queue = new Bull<Envelope>(queueOf(group), {
      prefix,
      createClient: (type) => ({ client, subscriber, bclient: takers[group] })[type],
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
      log.warn('job queue hiccup', { host, group, cause: err.message })
    })
    queue.on('failed', (job, err) => {
      const pauseMs = job.finishedOn ? undefined : pauseAfter(err, job.attemptsMade, job.data.plan)
      reportFailure(log, job.name, job.attemptsMade, pauseMs, err)
      changes.fire()
    })
    queue.on('completed', () => changes.fire())
    return { queue, turns: new Turns(concurrency[group]), postponed: new Map() }
  }
  const lines = eachGroup(openLine)
  const queues = Object.values(lines).map(({ queue }) => queue)

  const freeKey = (group: Group, key: string): Promise<unknown> =>
    client.eval(FREE_KEY, 1, toKey(group, `de:${key}`), toKey(group, ''))

  async function addTo(group: Group, name: string, envelope: Envelope): Promise<void> {
    const { plan } = envelope
    const { key, delayMs, attempts } = plan
    await reach(`add job "${name}"`, () =>
      // Sent in this order on one connection.
      Promise.all([
        key === undefined ? undefined : freeKey(group, key),
        lines[group].queue.add(name, envelope, {
          delay: delayMs,
          attempts,
          backoff: { type: 'siyu', options: plan },
          ...(key === undefined ? {} : { debounce: { id: key, ttl: delayMs + KEY_TTL_MS } }),
        }),
      ]),
    )
  }

  async function run(group: Group, job: Bull.Job<Envelope>): Promise<void> {
    const { turns, postponed } = lines[group]
    const { plan, data } = job.data
    const name = turnName(job.name, plan)
    if (plan.key !== undefined && job.attemptsMade === 0) {
      // Tidiness only: `add` looks for itself. So nobody waits for it.
      freeKey(group, plan.key).catch((err: unknown) => log.warn('job key was not tidied', { cause: messageOf(err) }))
      if (turns.isBusy(name)) {
        // It must not keep a place from other names meanwhile.
        const others = postponed.get(name) ?? []
        if (!others.some((other) => other.data.plan.key === plan.key)) postponed.set(name, [...others, job])
        return
      }
    }
    await new Promise<void>((resolve) => {
      turns.push(name, resolve)
      goOn(turns)
    })
    try {
      await jobs.run(job.name, data, plan)
    } catch (err) {
      throw err instanceof Error ? err : new Error(messageOf(err))
    } finally {
      turns.leave(name)
      // Who waits while the queue closes is to Redis a job of a process that died: another takes it up.
      if (closing === undefined) goOn(turns)
      await addPostponed(group, name)
    }
  }

  function goOn(turns: Turns<() => void>): void {
    for (let go = turns.take(); go !== undefined; go = turns.take()) go()
  }

  /** Before the job that they waited for has ended, so that the group never looks idle in between. */
  async function addPostponed(group: Group, name: string): Promise<void> {
    const waiting = lines[group].postponed.get(name) ?? []
    lines[group].postponed.delete(name)
    for (const job of waiting) {
      const envelope = { ...job.data, plan: { ...job.data.plan, delayMs: 0 } }
      await addTo(group, job.name, envelope).catch((err: unknown) =>
        log.warn('a job that waited for another of its name is lost', { job: name, cause: messageOf(err) }),
      )
    }
  }

  async function isIdle(): Promise<boolean> {
    const due = (systemClock.now().getTime() + 1) * 4_096 // Bull's score: milliseconds × 4096 + a counter
    const ask = client.multi()
    for (const group of GROUPS) {
      ask.llen(toKey(group, 'wait')).llen(toKey(group, 'active')).zcount(toKey(group, 'delayed'), '-inf', `(${due}`)
    }
    const replies = await ask.exec()
    return replies!.every(([, count]) => count === 0) // null only after WATCH, which is not used here
  }

  async function close(graceMs: number): Promise<void> {
    changes.fire()
    if (started !== undefined) {
      await Promise.all(
        queues.map((queue) =>
          queue
            .pause(true, true)
            .catch((err: unknown) => log.warn('job queue did not pause', { cause: messageOf(err) })),
        ),
      )
      await jobs.settle(graceMs)
      // Bull writes the outcome as soon as a handler has ended; one connection answers in order.
      await nextTurn()
      await client.ping().catch((err: unknown) => log.warn('last outcomes may be lost', { cause: messageOf(err) }))
    }
    await Promise.all(queues.map((queue) => queue.close(true)))
    disconnect()
    log.flush()
  }

  return {
    kind: 'bull',
    handle: (name, handler, options) => jobs.handle(name, handler, options),
    start: () =>
      (started ??= reach('take jobs', async () => {
        await Promise.all(queues.map((queue) => queue.isReady()))
        for (const group of GROUPS) {
          // Resolves only when the queue closes.
          lines[group].queue
            .process('*', concurrency[group], (job) => run(group, job))
            .catch((err: unknown) => {
              if (closing === undefined) log.error('job queue stopped', { host, group, cause: messageOf(err) })
            })
        }
      })),
    async add(name, data, options) {
      if (closing !== undefined) throw closedError()
      const plan = planJob(name, options)
      await addTo(jobs.groupOf(name), name, { data, plan })
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
        const counts = await Promise.all(queues.map((queue) => queue.getJobCounts()))
        return eachGroup((group) => {
          const { waiting, delayed, active, failed } = counts[GROUPS.indexOf(group)]!
          return { waiting, delayed, active, failed }
        })
      }),
    ping: () => reach('ping', () => client.ping()).then(() => undefined),
    drop: () =>
      reach('drop jobs', async () => {
        // 0.1 had one queue, by the name `jobs`.
        const match = `${escapeGlob(`${prefix}:jobs`)}[-:]*`
        for await (const keys of client.scanStream({ match, count: 1_000 })) {
          if ((keys as string[]).length > 0) await client.unlink(keys as string[])
        }
      }),
    close: (graceMs = 10 * SECOND_MS) => (closing ??= Promise.resolve().then(() => close(graceMs))),
  }
}

/** Name of a group's queue: its keys begin with the prefix and this. */
export function queueOf(group: Group): string {
  return `${QUEUES}${group}`
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
    throw new ConfigError(said('REDIS_URL 不是 Redis 的地址', 'REDIS_URL is not the address of a Redis'), [
      {
        path: 'REDIS_URL',
        message: said('看不懂', 'cannot be read'),
        hint: said(
          '写成 redis://host:6379 或 rediss://user:password@host:6379/0',
          'write redis://host:6379 or rediss://user:password@host:6379/0',
        ),
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
