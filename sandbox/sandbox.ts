import { ConfigError, NotFoundError } from '../src/errors.js'
import { quietLog } from '../src/log.js'
import { parseInput } from '../src/parse.js'
import { hashKey, secretHex } from '../src/random.js'
import { SECOND_MS, systemClock } from '../src/time.js'
import { CallbackSender } from './callbacks.js'
import { openClock } from './clock.js'
import { controlRoutes } from './http/control/control.js'
import type { ControlParts } from './http/control/parts.js'
import { Fault, Faults } from './http/core/faults.js'
import { createHandler, type Handler } from './http/core/handle.js'
import { payAccountOf } from './http/pay/keys.js'
import { PaySender } from './http/pay/outbox.js'
import { openServer } from './http/core/server.js'
import { weixinAccountsOf } from './http/weixin/people.js'
import { type App, identityOf, type SandboxIdentity } from './identity.js'
import type { LoggedMessage, Sandbox, SandboxCounts, SandboxOptions } from './interface.js'
import { Player } from './player.js'
import { State } from './state.js'
import { messageIdOf, type MessageLink } from './world/messages.js'
import { World } from './world/world.js'

export type { LoggedMessage, Sandbox, SandboxCounts, SandboxOptions } from './interface.js'

/** Starts the local WeCom. @throws {ConfigError} when the state belongs to another seed or scenario; {ConflictError} when the port is taken. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { limits = true, log = quietLog } = options
  let sender: CallbackSender | undefined
  const world = openWorld(options, () => sender?.hasReceiver === true)
  const clock = openClock(options.clock, Number(world.state.meta('now_ms')))
  const faults = new Faults()
  const { callbackQueues: queues = clock.kind === 'step' ? 1 : 16, callbackSliceMs: sliceMs = SECOND_MS } = options
  const { callbackConnections: connections = queues } = options
  const callbacks = (sender = new CallbackSender({ world, clock, faults, queues, connections, log }))
  const stampNow = () => (clock.kind === 'fast' ? systemClock.now() : clock.now())
  const paySender = new PaySender(world, () => clock.now(), log, stampNow)
  const isBeside = options.callbacksBeside === true && queues > 1
  const player = new Player({ world, clock, callbacks, paySender, queues, sliceMs, isBeside, log })

  const inside = { world, clock, faults, callbacks, handler: (): Handler => handler }
  const sandbox = toSandbox(inside, player)
  const control = controlRoutes({ ...inside, sandbox, act: () => player.act() })
  const handler = createHandler({ world, clock, limits, faults, log, changed: () => player.changed(), control })
  const server = await openServer(handler.handle, options.port ?? 0, log).catch((err: unknown) => {
    world.state.close()
    throw err
  })
  player.live()
  return {
    ...sandbox,
    url: `http://127.0.0.1:${server.port}`,
    close: async () => {
      if (player.isStopping) return
      await player.stop()
      await server.close()
      if (clock.kind === 'fast') world.state.setMeta('now_ms', String(clock.now().getTime()))
      world.state.close()
    },
  }
}

/** What a sandbox offers within its process. */
function toSandbox(inside: Omit<ControlParts, 'sandbox' | 'act'>, player: Player): ControlParts['sandbox'] {
  const { world, clock, faults, callbacks, handler } = inside
  const { state, seed, identity } = world
  return {
    controlKey: state.meta('control_key')!,
    corpId: identity.corpId,
    apps: identity.apps,
    app: identity.app,
    contactSyncSecret: identity.contactSyncSecret,
    pay: () => payAccountOf(seed),
    weixin: () => weixinAccountsOf(seed),
    now: () => clock.now(),
    advanceTo: (to) => player.advanceTo(to),
    nextAt: () => (world.nextAtMs === undefined ? undefined : new Date(world.nextAtMs)),
    setCallbackUrl: (url, appName) => {
      appOf(identity, appName).callbackUrl = url
    },
    verifyCallbackUrl: (appName) => callbacks.verify(appOf(identity, appName)),
    log: (skip = 0) => readLog(state, skip),
    counts: () => readCounts(state, handler().calls.total),
    purchases: (after, limit) => world.shop.purchases(after, limit),
    clicks: (after, limit) => world.shop.clicks(after, limit),
    eventLog: () => ({ events: world.events.events, hash: world.events.hash }),
    fault: (fault) => faults.add(parseInput(Fault, fault, 'Sandbox fault')),
    clearFaults: () => faults.clear(),
    expireTokens: () => handler().expireTokens(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    handle: (request) => handler().handle(request),
  }
}

/** @param name - default: the first app */
function appOf(identity: SandboxIdentity, name: string | undefined): App {
  const app = name === undefined ? identity.app : [...identity.apps, identity.contactSync].find((a) => a.name === name)
  if (app === undefined) throw new NotFoundError(`no app "${name}" in the scenario`)
  return app
}

function openWorld(options: SandboxOptions, callsBack: () => boolean): World {
  const { seed, scenario } = options
  const identity = identityOf(seed, options.callback, scenario.apps)
  if (options.callbackUrl !== undefined) identity.app.callbackUrl = options.callbackUrl
  const state = new State(options.file)
  try {
    const world = new World(state, seed, scenario, identity, callsBack)
    fillWorld(world, options)
    return world
  } catch (err) {
    state.close()
    throw err
  }
}

/** A new state is filled; an old one must be of the same seed and scenario, or nothing in it would make sense. */
function fillWorld(world: World, { seed, startAt, scenario, file }: SandboxOptions): void {
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
