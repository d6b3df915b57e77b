import { setImmediate as nextTurn } from 'node:timers/promises'
import { ConfigError, NotFoundError } from '../src/errors.js'
import { type Log, quietLog } from '../src/log.js'
import { parseInput } from '../src/parse.js'
import { hashKey, secretHex } from '../src/random.js'
import { DAY_MS, SECOND_MS, systemClock } from '../src/time.js'
import { CallbackSender } from './callbacks.js'
import { type ClockMode, openClock } from './clock.js'
import { controlRoutes } from './http/control/control.js'
import { Fault, Faults, type FaultInput } from './http/core/faults.js'
import { createHandler, type Handler } from './http/core/handle.js'
import { payAccountOf, type PayAccount } from './http/pay/keys.js'
import { PaySender } from './http/pay/outbox.js'
import { openServer } from './http/core/server.js'
import { type WeixinAccounts, weixinAccountsOf } from './http/weixin/people.js'
import { type CallbackSecrets, identityOf, type SandboxApp } from './identity.js'
import type { Scenario } from './scenario.js'
import { State } from './state.js'
import { messageIdOf } from './world/sending.js'
import type { Click, Purchase } from './world/shop.js'
import type { MessageLink } from './world/world.js'
import { World } from './world/world.js'

/** Events in one transaction while a slice is played: nobody asks for anything meanwhile. */
const SLICE_BATCH = 5_000

export type SandboxOptions = {
  /** SQLite state file, or `:memory:`. An existing file goes on where it stopped. */
  file: string
  /** Default 0: any free port of 127.0.0.1. */
  port?: number
  /** Decides every draw, id and secret. */
  seed: number
  /** Where the clock stands when the state is new. */
  startAt: Date
  /** With all but `step` the world plays by itself. */
  clock: ClockMode
  /** Where the first app receives callbacks; without a URL nobody is called back. */
  callbackUrl?: string
  /** Of the first app; default: derived from the seed. */
  callback?: CallbackSecrets
  /**
   * Callbacks on their way at once; those of one customer stay in order. Default: 1 with a stepped clock, so that every
   * run is the same, else 16. A stepped clock with more of them plays a slice of time before it sends its callbacks.
   */
  callbackLanes?: number
  /** How long such a slice is; default 1 s. The receiver meets a clock that stands at its end. */
  callbackSliceMs?: number
  /**
   * Connections to one receiver; default: one for each lane. With fewer, requests to a plain `http:` URL follow each other
   * on a connection without waiting for the answers: much cheaper on both sides, for receivers that can.
   */
  callbackConnections?: number
  /**
   * With several lanes: an advance plays on while the callbacks of the slice before are on their way, and ends when all but
   * those of its last slice are acknowledged. An advance that plays nothing waits for all. Default false.
   */
  callbacksBeside?: boolean
  scenario: Scenario
  /** Rates, lanes, bans and silent drops; default true. The customers' quota always holds. */
  limits?: boolean
  log?: Log
}

/** A message that has reached a customer. */
export type LoggedMessage = {
  messageId: string
  kind: 'mass' | 'group' | 'welcome'
  /** The mass message it came from; for a welcome its code. */
  msgid: string
  senderUserId: string
  externalUserId: string
  /** `contentHashOf(text, link?.url)`. */
  contentHash: string
  text: string
  link?: MessageLink
  sentAt: Date
  /** When the app made the request. */
  createdAt: Date
}

export type SandboxCounts = {
  /** That reached a customer. */
  messages: number
  /** Cards that reached a guide; other app messages are in `appMessages`. */
  cards: number
  appMessages: number
  /** App messages dropped in silence, above 30 a minute or 1,000 an hour to one member. */
  droppedAppMessages: number
  callbacks: { delivered: number; waiting: number; lost: number }
  /** Since this process started. */
  apiCalls: number
  /** Tasks that members have sent. */
  confirmedTasks: number
  refusedByQuota: number
  notAContact: number
  reads: number
  clicks: number
  purchases: number
  repliesByKind: { interested: number; stop: number; other: number }
  /** By the key's part before a colon. */
  pressesByKey: Record<string, number>
}

export interface Sandbox {
  readonly url: string
  /** For `Authorization: Bearer …` on `/control/*`. */
  readonly controlKey: string
  readonly corpId: string
  readonly apps: readonly SandboxApp[]
  /** The first of them. */
  readonly app: SandboxApp
  readonly contactSyncSecret: string
  /** The merchant's keys at WeChat Pay; made when first asked for. */
  pay(): PayAccount
  /** The official account and the mini program. */
  weixin(): WeixinAccounts
  now(): Date
  /**
   * Plays everything the world does up to and including `to`, in time order, and sends the callbacks, each after the
   * acknowledgement of the one before. An instant that has passed plays nothing, but sends what still waits.
   *
   * @throws {UpstreamError} when a receiver does not acknowledge after the last attempt; calling again goes on
   */
  advanceTo(to: Date): Promise<void>
  /** When the world does something next, if anything is scheduled. */
  nextAt(): Date | undefined
  /** @param appName - default: the first app; `contact_sync` for the contact-sync assistant */
  setCallbackUrl(url: string, appName?: string): void
  /** The platform's URL check. @returns what is wrong, `undefined` when the receiver answered as it must. */
  verifyCallbackUrl(appName?: string): Promise<string | undefined>
  /** Every message that reached a customer, in the order of arrival, after the first `skip`. */
  log(skip?: number): readonly LoggedMessage[]
  counts(): SandboxCounts
  /** What customers bought, in the order of time, after the one with `seq` `after` (default 0); at most `limit`, default 1,000. */
  purchases(after?: number, limit?: number): readonly Purchase[]
  /** Links that customers clicked, likewise. */
  clicks(after?: number, limit?: number): readonly Click[]
  /** How much has happened, and a hash over all of it: the same for runs in which the same happened at the same instants. */
  eventLog(): { events: number; hash: string }
  fault(fault: FaultInput): void
  clearFaults(): void
  /** Ends every token now. */
  expireTokens(): void
  /** Answers one request as the port does, without a socket; `undefined` when the connection is dropped instead. */
  handle: Handler['handle']
  /** Waits on the sandbox's clock; a stepped clock waits real time. Ends early, without an error, when the signal says so. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** May be called twice. */
  close(): Promise<void>
}

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
