import { ConfigError } from '../src/errors.js'
import { type Log, quietLog } from '../src/log.js'
import { parseInput } from '../src/parse.js'
import { hashKey, secretHex } from '../src/random.js'
import { systemClock } from '../src/time.js'
import { CallbackSender } from './callbacks.js'
import { controlRoutes } from './http/control.js'
import { Fault, Faults, type FaultInput } from './http/faults.js'
import { createHandler, type Handler } from './http/handle.js'
import { openServer } from './http/server.js'
import { expireTokens } from './http/tokens.js'
import { type CallbackSecrets, identityOf, type SandboxApp } from './identity.js'
import type { Scenario } from './scenario.js'
import { State } from './state.js'
import type { MessageLink } from './world/world.js'
import { World } from './world/world.js'

export type SandboxOptions = {
  /** SQLite state file, or `:memory:`. An existing file goes on where it stopped. */
  file: string
  /** Default 0: any free port of 127.0.0.1. */
  port?: number
  /** Decides every draw, id and secret. */
  seed: number
  /** Where the clock stands when the state is new. */
  startAt: Date
  /** `step`: time stands still but for `advanceTo`. `real`: the machine's time, and the world plays by itself. */
  clock: 'step' | 'real'
  /** Where the app receives callbacks; without one nobody is called back. */
  callbackUrl?: string
  /** Default: derived from the seed. */
  callback?: CallbackSecrets
  scenario: Scenario
  /** Rates and silent drops; default true. The customers' quota always holds. */
  limits?: boolean
  log?: Log
}

/** A message that has reached a customer. */
export type LoggedMessage = {
  messageId: string
  kind: 'mass' | 'welcome'
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
  repliesByKind: { interested: number; stop: number; other: number }
  /** By the key's part before a colon. */
  pressesByKey: Record<string, number>
}

export interface Sandbox {
  readonly url: string
  /** For `Authorization: Bearer …` on `/control/*`. */
  readonly controlKey: string
  readonly corpId: string
  readonly app: SandboxApp
  readonly contactSyncSecret: string
  now(): Date
  /**
   * Plays everything the world does up to and including `to`, in time order, and sends the callbacks, each after the
   * acknowledgement of the one before. An instant that has passed plays nothing, but sends what still waits.
   *
   * @throws {UpstreamError} when the receiver does not acknowledge after four attempts; calling again goes on
   */
  advanceTo(to: Date): Promise<void>
  /** When the world does something next, if anything is scheduled. */
  nextAt(): Date | undefined
  setCallbackUrl(url: string): void
  /** The platform's URL check. @returns what is wrong, `undefined` when the receiver answered as it must. */
  verifyCallbackUrl(): Promise<string | undefined>
  /** Every message that reached a customer, in the order of arrival, after the first `skip`. */
  log(skip?: number): readonly LoggedMessage[]
  counts(): SandboxCounts
  fault(fault: FaultInput): void
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
  const { seed, scenario, clock, limits = true, log = quietLog } = options
  const identity = identityOf(seed, options.callback)
  const state = new State(options.file)
  let sender: CallbackSender | undefined
  let world: World
  try {
    world = new World(state, seed, scenario, identity, () => sender?.url !== undefined)
    openWorld(world, options)
  } catch (err) {
    state.close()
    throw err
  }
  const controlKey = state.meta('control_key')!
  let clockMs = Number(state.meta('now_ms'))
  const now = () => (clock === 'real' ? systemClock.now() : new Date(clockMs))
  const callbacks = (sender = new CallbackSender(state, seed, identity, options.callbackUrl, now, log))
  const faults = new Faults()

  let delivering = false
  /** Whoever asks while a delivery runs need not wait for it: the running one takes along what is new. */
  const deliver = async (): Promise<void> => {
    if (delivering) return
    delivering = true
    try {
      await callbacks.deliver(clock === 'real')
    } finally {
      delivering = false
    }
  }

  let closing = false
  let tail: Promise<unknown> = Promise.resolve()
  /** One advance at a time. */
  const advanceTo = (to: Date): Promise<void> => {
    const turn = tail.then(() => advance(to))
    tail = turn.catch(() => undefined) // whoever asked for that turn has the error
    return turn
  }
  const advance = async (to: Date): Promise<void> => {
    await deliver()
    while (!closing) {
      const at = world.playNext(to)
      if (at === undefined) break
      clockMs = at.getTime()
      await deliver()
    }
    if (clock === 'real' || closing || to.getTime() <= clockMs) return
    state.setMeta('now_ms', String(to.getTime()))
    clockMs = to.getTime()
  }

  const sandbox = {
    controlKey,
    corpId: identity.corpId,
    app: identity.app,
    contactSyncSecret: identity.contactSyncSecret,
    now,
    advanceTo,
    nextAt: () => (world.nextAtMs === undefined ? undefined : new Date(world.nextAtMs)),
    setCallbackUrl: (url: string) => {
      callbacks.url = url
    },
    verifyCallbackUrl: () => callbacks.verify(),
    log: (skip = 0) => readLog(state, skip),
    counts: () => readCounts(state, handler.calls()),
    fault: (fault: FaultInput) => faults.add(parseInput(Fault, fault, 'Sandbox fault')),
    expireTokens: () => expireTokens(world, now()),
  }
  const control = controlRoutes({ world, sandbox, deliver, clock })
  const handler = createHandler({ world, now, limits, faults, log, control })
  const server = await openServer(handler.handle, options.port ?? 0, log).catch((err: unknown) => {
    state.close()
    throw err
  })
  const ticker =
    clock === 'real'
      ? setInterval(
          () =>
            void advanceTo(now()).catch((err: unknown) => log.error('sandbox world stopped', { cause: String(err) })),
          250,
        )
      : undefined
  return {
    ...sandbox,
    handle: handler.handle,
    sleep: pause,
    url: `http://127.0.0.1:${server.port}`,
    close: async () => {
      if (closing) return
      closing = true
      clearInterval(ticker)
      callbacks.stop()
      await tail
      await server.close()
      state.close()
    },
  }
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
  message_id: string
  kind: 'mass' | 'welcome'
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
    messageId: row.message_id,
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
  const callbacks = new Map(
    state
      .all<{ state: string; n: number }>('SELECT state, count(*) AS n FROM outbox GROUP BY state')
      .map((row) => [row.state, row.n]),
  )
  const presses = [...counters].filter(([name]) => name.startsWith('presses:'))
  return {
    messages: state.get<{ n: number }>('SELECT count(*) AS n FROM message')!.n,
    cards: of('cards'),
    appMessages: of('app_messages'),
    droppedAppMessages: of('dropped_app_messages'),
    callbacks: {
      delivered: callbacks.get('delivered') ?? 0,
      waiting: callbacks.get('waiting') ?? 0,
      lost: callbacks.get('lost') ?? 0,
    },
    apiCalls,
    confirmedTasks: of('confirmed'),
    refusedByQuota: of('refused_by_quota'),
    notAContact: of('not_a_contact'),
    reads: of('reads'),
    repliesByKind: { interested: of('replies:interested'), stop: of('replies:stop'), other: of('replies:other') },
    pressesByKey: Object.fromEntries(presses.map(([name, n]) => [name.slice('presses:'.length), n])),
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
  })
}
