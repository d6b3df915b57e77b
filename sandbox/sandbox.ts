import { setImmediate as nextTurn } from 'node:timers/promises'
import { ConfigError, NotFoundError } from '../src/errors.js'
import { quietLog } from '../src/log.js'
import { parseInput } from '../src/parse.js'
import { hashKey, secretHex } from '../src/random.js'
import { DAY_MS, SECOND_MS, systemClock } from '../src/time.js'
import { CallbackSender } from './callbacks.js'
import { openClock } from './clock.js'
import { controlRoutes } from './http/control/control.js'
import { Fault, Faults, type FaultInput } from './http/core/faults.js'
import { createHandler, type Handler } from './http/core/handle.js'
import { payAccountOf } from './http/pay/keys.js'
import { PaySender } from './http/pay/outbox.js'
import { openServer } from './http/core/server.js'
import { weixinAccountsOf } from './http/weixin/people.js'
import { identityOf } from './identity.js'
import type { LoggedMessage, Sandbox, SandboxCounts, SandboxOptions } from './interface.js'
import { State } from './state.js'
import { messageIdOf, type MessageLink } from './world/messages.js'
import { World } from './world/world.js'

export type { LoggedMessage, Sandbox, SandboxCounts, SandboxOptions } from './interface.js'

/** Events in one transaction while a slice is played: nobody asks for anything meanwhile. */
const SLICE_BATCH = 5_000

/** Starts the local WeCom. @throws {ConfigError} when the state belongs to another seed or scenario; {ConflictError} when the port is taken. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { seed, scenario, limits = true, log = quietLog } = options
  const identity = identityOf(seed, options.callback, scenario.apps)
  if (options.callbackUrl !== undefined) identity.app.callbackUrl = options.callbackUrl
  const state = new State(options.file)
  let sender: CallbackSender | undefined
  let world: World
  try {
    world = new World(state, seed, scenario, identity, () => sender?.hasReceiver === true)
    openWorld(world, options)
  } catch (err) {
    state.close()
    throw err
  }
  const controlKey = state.meta('control_key')!
  const clock = openClock(options.clock, Number(state.meta('now_ms')))
  const isStepped = clock.kind === 'step'
  const { callbackSliceMs = SECOND_MS } = options
  const lanes = options.callbackLanes ?? (isStepped ? 1 : 16)
  const faults = new Faults()
  const { callbackConnections: connections = lanes } = options
  const isBeside = options.callbacksBeside === true && lanes > 1
  const callbacks = (sender = new CallbackSender({ world, clock, faults, lanes, connections, log }))

  const stampNow = () => (clock.kind === 'fast' ? systemClock.now() : clock.now())
  const paySender = new PaySender(world, () => clock.now(), log, stampNow)

  let delivering = false
  let askedAgain = false
  /** Whoever asks while a delivery runs need not wait for it: the running one takes along what is new. */
  const deliver = async (): Promise<void> => {
    askedAgain = true
    if (delivering) return
    delivering = true
    try {
      while (askedAgain && !closing) {
        askedAgain = false
        const sent = callbacks.deliver(!isStepped).then(() => paySender.deliver())
        await (clock.hold === undefined ? sent : clock.hold(sent))
      }
    } finally {
      delivering = false
    }
  }

  let closing = false
  let tail: Promise<unknown> = Promise.resolve()
  /** One advance at a time. */
  const advanceTo = (to: Date): Promise<void> => {
    const turn = tail.then(() => (isStepped ? step(to) : catchUp()))
    tail = turn.catch(() => undefined) // whoever asked for that turn has the error
    return turn
  }
  const step = async (to: Date): Promise<void> => {
    if (!isBeside || to <= clock.now()) await deliverAll()
    while (!closing) {
      const heldMs = earliest(callbacks.nextHeldMs, paySender.nextMs)
      if (heldMs !== undefined && heldMs <= Math.min(to.getTime(), world.nextAtMs ?? Infinity)) {
        clock.set(Math.max(heldMs, clock.now().getTime()))
      } else {
        const at = world.playNext(to)
        if (at === undefined) break
        clock.set(at.getTime())
        if (lanes > 1) await playAll(new Date(Math.min(to.getTime(), at.getTime() + callbackSliceMs)))
      }
      if (isBeside) await sendBeside()
      else await deliver()
    }
    if (closing || to <= clock.now()) return
    state.setMeta('now_ms', String(to.getTime()))
    clock.set(to.getTime())
  }
  const playAll = async (to: Date): Promise<void> => {
    for (let at: Date | undefined; (at = world.playNext(to, true, SLICE_BATCH)) !== undefined;) {
      clock.set(at.getTime())
      if (isBeside) await nextTurn()
    }
  }
  /** The callbacks that are on their way beside the world; whoever waits for them has their error. */
  let beside: Promise<void> = Promise.resolve()
  const sendBeside = async (): Promise<void> => {
    await deliverAll(false)
    beside = deliver()
    beside.catch(() => undefined) // told to the next who waits
  }
  const deliverAll = async (more = true): Promise<void> => {
    const before = beside
    beside = Promise.resolve()
    await before
    if (more) await deliver()
  }
  const catchUp = async (): Promise<void> => {
    while (!closing && world.playNext(clock.now(), true) !== undefined) await nextTurn()
    if (!closing) void deliver().catch(report)
  }
  const report = (err: unknown): void =>
    log.error('sandbox world stopped', { cause: err instanceof Error ? (err.stack ?? err.message) : String(err) })

  /** Wakes the world when something is due; `changed` tells it that this may be earlier than it thought. */
  let wakeMs = Infinity
  let waking = new AbortController()
  const dueMs = (): number => earliest(world.nextAtMs, callbacks.nextHeldMs, paySender.nextMs) ?? Infinity
  const live = async (): Promise<void> => {
    while (!closing) {
      waking = new AbortController()
      wakeMs = dueMs()
      const waitMs = Math.min(wakeMs - clock.now().getTime(), DAY_MS)
      if (wakeMs === Infinity) await aborted(waking.signal)
      else if (waitMs > 0) await clock.sleep(waitMs, waking.signal)
      await advanceTo(clock.now())
    }
  }
  const changed = (): void => {
    if (isStepped || closing) return
    if (dueMs() < wakeMs) waking.abort()
    if (callbacks.hasReceiver) void deliver().catch(report)
  }

  const appOf = (name: string | undefined) => {
    const app =
      name === undefined ? identity.app : [...identity.apps, identity.contactSync].find((a) => a.name === name)
    if (app === undefined) throw new NotFoundError(`no app "${name}" in the scenario`)
    return app
  }
  const sandbox = {
    controlKey,
    corpId: identity.corpId,
    apps: identity.apps,
    app: identity.app,
    contactSyncSecret: identity.contactSyncSecret,
    pay: () => payAccountOf(seed),
    weixin: () => weixinAccountsOf(seed),
    now: () => clock.now(),
    advanceTo,
    nextAt: () => (world.nextAtMs === undefined ? undefined : new Date(world.nextAtMs)),
    setCallbackUrl: (url: string, appName?: string) => {
      appOf(appName).callbackUrl = url
    },
    verifyCallbackUrl: (appName?: string) => callbacks.verify(appOf(appName)),
    log: (skip = 0) => readLog(state, skip),
    counts: () => readCounts(state, handler.calls.total),
    purchases: (after?: number, limit?: number) => world.shop.purchases(after, limit),
    clicks: (after?: number, limit?: number) => world.shop.clicks(after, limit),
    eventLog: () => ({ events: world.events.events, hash: world.events.hash }),
    fault: (fault: FaultInput) => faults.add(parseInput(Fault, fault, 'Sandbox fault')),
    clearFaults: () => faults.clear(),
    expireTokens: () => handler.expireTokens(),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
    handle: (...args: Parameters<Handler['handle']>) => handler.handle(...args),
  }
  const act = async (): Promise<void> => {
    if (isStepped) return deliver()
    changed()
    await deliver()
  }
  const control = controlRoutes({ world, sandbox, clock, faults, callbacks, act, handler: () => handler })
  const handler = createHandler({ world, clock, limits, faults, log, changed, control })
  const server = await openServer(handler.handle, options.port ?? 0, log).catch((err: unknown) => {
    state.close()
    throw err
  })
  if (!isStepped) void live().catch(report)
  return {
    ...sandbox,
    url: `http://127.0.0.1:${server.port}`,
    close: async () => {
      if (closing) return
      closing = true
      waking.abort()
      callbacks.stop()
      paySender.stop()
      await tail
      await server.close()
      if (clock.kind === 'fast') state.setMeta('now_ms', String(clock.now().getTime()))
      state.close()
    },
  }
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A new state is filled; an old one must be of the same seed and scenario, or nothing in it would make sense. */
function openWorld(world: World, { seed, startAt, scenario, file }: SandboxOptions): void {
  const { state } = world
  const made = hashKey(32, seed, JSON.stringify(scenario))
  const found = state.meta('made_from')
  if (found === made) return
  if (found !== undefined) {
    throw new ConfigError(
      `the sandbox's state ${file} was made from another seed or scenario: use the same ones, or delete the file to start afresh`,
    )
  }
  world.write(() => {
    world.populate(startAt)
    state.setMeta('now_ms', String(startAt.getTime()))
    state.setMeta('control_key', secretHex(16))
    state.setMeta('made_from', made)
  })
}

type MessageRow = {
  kind: 'mass' | 'group' | 'welcome'
  msgid: string
  user_id: string
  external_user_id: string
  content_hash: string
  text: string
  link: string | null
  sent_ms: number
  created_ms: number
}

function readLog(state: State, skip: number): LoggedMessage[] {
  return state.all<MessageRow>('SELECT * FROM message WHERE seq > ? ORDER BY seq', skip).map((row) => ({
    messageId: messageIdOf(row.msgid, row.user_id, row.external_user_id),
    kind: row.kind,
    msgid: row.msgid,
    senderUserId: row.user_id,
    externalUserId: row.external_user_id,
    contentHash: row.content_hash,
    text: row.text,
    ...(row.link === null ? {} : { link: JSON.parse(row.link) as MessageLink }),
    sentAt: new Date(row.sent_ms),
    createdAt: new Date(row.created_ms),
  }))
}

function readCounts(state: State, apiCalls: number): SandboxCounts {
  const counters = state.counters()
  const of = (name: string) => counters.get(name) ?? 0
  const waiting = state.get<{ n: number }>('SELECT count(*) AS n FROM outbox')!.n
  const presses = [...counters].filter(([name]) => name.startsWith('presses:'))
  return {
    messages: of('messages'),
    cards: of('cards'),
    appMessages: of('app_messages'),
    droppedAppMessages: of('dropped_app_messages'),
    callbacks: { delivered: of('callbacks:delivered'), waiting, lost: of('callbacks:lost') },
    apiCalls,
    confirmedTasks: of('confirmed'),
    refusedByQuota: of('refused_by_quota'),
    notAContact: of('not_a_contact'),
    reads: of('reads'),
    clicks: of('clicks'),
    purchases: of('purchases'),
    repliesByKind: { interested: of('replies:interested'), stop: of('replies:stop'), other: of('replies:other') },
    pressesByKey: Object.fromEntries(presses.map(([name, n]) => [name.slice('presses:'.length), n])),
  }
}
