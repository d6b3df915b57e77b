import { hostname } from 'node:os'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readCallbackEvent } from '../connectors/wecom/callbacks.js'
import { relationOf, relationsOf } from '../connectors/wecom/contacts.js'
import { wechaty } from '../connectors/wechaty/index.js'
import { ChatRules } from '../connectors/wechaty/rules.js'
import { openMongoDocuments } from './adapters/documents/mongo.js'
import { openSqliteDocuments } from './adapters/documents/sqlite.js'
import { openChdbEvents } from './adapters/events/chdb.js'
import { openClickhouseEvents } from './adapters/events/clickhouse.js'
import { openBullQueue } from './adapters/queue/bull.js'
import { openInProcessQueue } from './adapters/queue/in-process.js'
import { createActions, missingActions } from './adapters/wecom/actions.js'
import { type CallbackReader, openCallback } from './adapters/wecom/callback.js'
import type { WecomStats } from './adapters/wecom/call-stats.js'
import { createWecomClient, type WecomOptions } from './adapters/wecom/client.js'
import { createWecomPort } from './adapters/wecom/port.js'
import { createInProcessQuota } from './adapters/wecom/quota-in-process.js'
import { openRedisQuota } from './adapters/wecom/quota-redis.js'
import { runWechatyBot } from './adapters/wechaty/bot.js'
import { loadWechaty } from './adapters/wechaty/load.js'
import { createSignIn } from './adapters/wecom/sign-in.js'
import { closeCard, createGuideTaskChannel } from './channels/guide-task.js'
import { createWecomMessageChannel } from './channels/wecom-message.js'
import type { Config } from './config.js'
import { lockDataDir } from './data-dir.js'
import { ConfigError, formatProblem, InvalidInputError, type Problem } from './errors.js'
import type { RawRoute } from './http/raw-routes.js'
import { wecomCallbackRoutes } from './http/routes/wecom-callback.js'
import { createGuideSessions } from './http/guide-session.js'
import { sidebarRouter } from './http/routes/sidebar.js'
import { queueBeside } from './jobs/beside-queue.js'
import { registerLanes, runLane } from './jobs/registry.js'
import { createRunAlone, type RunAlone } from './jobs/run-alone.js'
import type { Log } from './log.js'
import type { Channel } from './ports/channel.js'
import type { ChatBot } from './ports/chat-bot.js'
import type { DocumentStore } from './ports/document-store.js'
import type { EventStore } from './ports/event-store.js'
import type { JobQueue } from './ports/job-queue.js'
import type { WecomActions } from './ports/wecom-actions.js'
import type { WecomPort } from './ports/wecom.js'
import type { WecomSignIn } from './ports/wecom-sign-in.js'
import { type Collections, openCollections } from './stored/collections.js'
import type { Definitions, ServiceDeps } from './services/runtime/deps.js'
import { createCallbackIntake } from './services/wecom/accept-callbacks.js'
import { lanes } from './services/runtime/lanes.js'
import { checkDefinitions, type LoadedDefinitions, loadDefinitions } from './services/definitions/load-definitions.js'
import { noteBotState, takeChats } from './services/ingest/take-chats.js'
import { refreshWhenChanged } from './services/tags/run-schedules.js'
import { liveDefinitions, type Publication, publishDefinitions } from './services/definitions/publish-definitions.js'
import { type Clock, systemClock } from './time.js'
import { loadYaml } from './yaml-file.js'

export type AppOptions = {
  config: Config
  log: Log
  /** Default: the system's. */
  clock?: Clock
  /** Who this process is among those that share the stores. */
  owner?: string
  /** How the WeCom client waits; default real time. Give one with a virtual clock. */
  pause?: (ms: number, signal?: AbortSignal) => Promise<void>
  /** How it reaches the platform, and whose limits it keeps; default over the network, in real time. */
  wecomWay?: Pick<WecomOptions, 'adapter' | 'timeoutSignal' | 'quota'>
  /** An acknowledged event survives a power cut, for about 2 ms a write. Default true. */
  fsync?: boolean
  onLaneError?: (err: unknown) => void
  /** false: services' hints are dropped, and whoever drives the clock adds every job. Default true. */
  hints?: boolean
  /** Whether to hold the data directory; default: when an embedded store lives in it. */
  lock?: boolean
}

export interface App {
  readonly config: Config
  readonly deps: ServiceDeps
  readonly documents: DocumentStore
  readonly queue: JobQueue
  readonly loaded: LoadedDefinitions
  /** Routes that check their callers themselves. */
  readonly callbackRoutes: readonly RawRoute[]
  /** Routes that check their callers themselves and are not in a hurry. */
  readonly publicRoutes: readonly ReturnType<typeof sidebarRouter>[]
  /** Calls to WeCom since this app was made, per API. */
  readonly wecomStats: () => WecomStats
  /** Starts the wechaty bot; `undefined` when none is configured. @throws {ConfigError} saying what to install or mend */
  startBot(): Promise<ChatBot | undefined>
  /** Takes what is published as the running definitions. */
  reload(): Promise<void>
  /** Checks the files, makes them live and takes them over. @throws {InvalidInputError} with every problem; nothing changes then */
  publish(): Promise<Publication[]>
  /**
   * Takes over what another process has published, if it has, with the files as they are now; files that are broken are
   * left alone. Resolves to whether there was something.
   */
  follow(): Promise<boolean>
  /** Works one lane now, outside the queue. */
  runLane(name: string, signal?: AbortSignal): Promise<void>
  /** Several processes may work on these stores at the same time. */
  readonly shared: boolean
  /** Runs work while nothing else evaluates profiles. In one process it waits for `queue.start()`. */
  alone: RunAlone
  /** Drops all data of this app's stores. */
  drop(): Promise<void>
  /** In reverse order of opening; may be called twice. */
  close(): Promise<void>
}

/** The composition root: opens the stores, wires ports to adapters, registers the lanes. Takes no job before `queue.start()`. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, log, clock = systemClock } = options
  const files = await checkDefinitions(config.paths)
  if (files.loaded === undefined) throw new InvalidInputError('Definitions are not usable', files.problems)
  let loaded = files.loaded
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  try {
    if (options.lock ?? (config.documents.kind === 'sqlite' || config.events.kind === 'chdb')) {
      const lock = await lockDataDir(config.dataDir)
      closers.push(() => lock.release())
    }
    await mkdir(config.dataDir, { recursive: true })
    const documents = await openDocuments(config, options.fsync ?? true)
    closers.push(() => documents.close())
    const events = await openEvents(config, options.fsync ?? true)
    closers.push(() => events.close())
    const queue = await openJobs(config, log)
    closers.push(() => queue.close())
    const wired = await wireWecom(config, clock, log, options)
    closers.push(() => wired.close())

    const docs = await openCollections(documents)
    await allowBrokenJourneys(docs, log, files.problems)
    const deps: ServiceDeps = {
      clock,
      log,
      docs,
      events,
      jobs: options.hints === false ? { add: () => Promise.resolve() } : queue,
      definitions: { current: emptyOf(loaded) },
      channels: wired.channels,
      brand: { name: config.brand.name, timeZone: config.brand.timeZone, locale: config.brand.locale },
      sending: config.sending,
      linkBase: config.linkBase,
      seed: config.splitSeed,
      wecom: wired.port,
      wecomActions: wired.actions,
      wecomSettings: {
        reconcileAt: config.wecom?.reconcileAt ?? 'off',
        lostNotice: config.wecom?.lostNotice ?? { guide: false, userIds: [] },
        writeback: config.wecom?.writeback ?? 'off',
        statisticsAt: config.wecom?.statisticsAt ?? 'off',
      },
    }
    if ((await docs.meta.get('published')) === undefined)
      await publishDefinitions(deps, { ...loaded, journeyFiles: [] })
    let publication: number | undefined
    const reload = async () => {
      publication = (await docs.meta.get('published'))?.value
      deps.definitions.current = await liveDefinitions(deps, loaded)
      await refreshWhenChanged(deps)
    }
    await reload()
    const shared = config.documents.kind === 'mongo' && config.jobs.kind === 'bull'
    const owner = options.owner ?? `${hostname()}:${process.pid}`
    // Wherever documents can be reached by another process, lanes take turns.
    const lease = config.documents.kind === 'mongo' ? { meta: docs.meta, owner, clock: systemClock } : undefined
    registerLanes(queue, deps, {
      log,
      ...(lease === undefined ? {} : { lease }),
      ...(options.onLaneError === undefined ? {} : { onError: options.onLaneError }),
    })
    const callback = wired.callback
    return {
      config,
      deps,
      documents,
      queue,
      get loaded() {
        return loaded
      },
      callbackRoutes: callback === undefined ? [] : callbackRoutes(deps, callback),
      publicRoutes: sidebarRoutes(config, deps, wired.signIn),
      wecomStats: wired.stats,
      startBot: () => startBot(config, deps),
      reload,
      publish: async () => {
        const next = await loadDefinitions(config.paths)
        const done = await publishDefinitions(deps, next)
        loaded = next
        await reload()
        return done
      },
      follow: async () => {
        if ((await docs.meta.get('published'))?.value === publication) return false
        const next = await checkDefinitions(config.paths)
        for (const p of next.problems) log.warn('definition file left alone', { problem: formatProblem(p) })
        loaded = next.loaded ?? loaded
        await reload()
        return true
      },
      runLane: (name, signal) => runLane(name, deps, lease, signal),
      shared,
      alone: createRunAlone(queue, lease),
      drop: async () => {
        await queue.drop()
        await events.drop()
        await documents.drop()
      },
      close,
    }
  } catch (err) {
    await close()
    throw err
  }
}

async function startBot(config: Config, deps: ServiceDeps): Promise<ChatBot | undefined> {
  if (config.wechaty === undefined) return undefined
  const rules = await loadYaml(ChatRules, config.wechaty.rules)
  const connector = wechaty(rules)
  return runWechatyBot({
    build: await loadWechaty(config.wechaty),
    clock: deps.clock,
    log: deps.log,
    take: (sightings) =>
      takeChats(
        deps,
        { toRecords: (one) => connector.toRecords(one, deps.clock.now()), keepTextDays: rules.keepTexts?.days },
        sightings,
      ),
    onState: (state) => noteBotState(deps, state),
  })
}

/** A broken journey file never stops a service that has published ones to run on. @throws {InvalidInputError} when it has none */
async function allowBrokenJourneys(docs: Collections, log: Log, problems: readonly Problem[]): Promise<void> {
  if (problems.length === 0) return
  const published = await docs.published.findOne({ kind: 'journey' })
  if (published === undefined) throw new InvalidInputError('Definitions are not usable', problems)
  for (const p of problems)
    log.warn('journey file left alone, the published version runs', { problem: formatProblem(p) })
}

/**
 * Only the documents, for what must work whatever the definition files say: the switch that stops sending.
 *
 * @throws {ConflictError} when another process holds the data directory
 */
export async function openDocumentsOnly(config: Config): Promise<{ docs: Collections; close: () => Promise<void> }> {
  const lock = config.documents.kind === 'sqlite' ? await lockDataDir(config.dataDir) : undefined
  try {
    const documents = await openDocuments(config, true)
    const close = async () => {
      await documents.close()
      await lock?.release()
    }
    return { docs: await openCollections(documents), close }
  } catch (err) {
    await lock?.release()
    throw err
  }
}

function emptyOf(loaded: LoadedDefinitions): Definitions {
  return { ...loaded, journeys: new Map(), pinned: new Map(), evaluables: [] }
}

async function openDocuments({ documents, dataDir }: Config, fsync: boolean): Promise<DocumentStore> {
  if (documents.kind === 'sqlite') return openSqliteDocuments({ file: join(dataDir, 'documents.sqlite'), fsync })
  return openMongoDocuments({
    url: documents.url,
    database: documents.database,
    ...(documents.prefix === undefined ? {} : { prefix: documents.prefix }),
  })
}

async function openEvents({ events, dataDir }: Config, fsync: boolean): Promise<EventStore> {
  if (events.kind === 'chdb') return openChdbEvents({ path: join(dataDir, 'events'), fsync })
  return openClickhouseEvents({
    url: events.url,
    database: events.database,
    ...(events.cluster === undefined ? {} : { cluster: events.cluster }),
  })
}

async function openJobs({ jobs }: Config, log: Log): Promise<JobQueue> {
  const open = async (suffix: string) =>
    jobs.kind === 'bull'
      ? openBullQueue({ url: jobs.url, prefix: `${jobs.prefix}${suffix}`, log })
      : openInProcessQueue({ log })
  const beside = new Map<string, JobQueue>()
  for (const { name } of lanes.filter((lane) => lane.beside === true)) beside.set(name, await open(`-${name}`))
  return queueBeside(await open(''), beside)
}

type Wired = {
  port: WecomPort
  actions: WecomActions
  channels: ServiceDeps['channels']
  callback?: CallbackReader
  signIn?: WecomSignIn
  stats: () => WecomStats
  close(): Promise<void>
}

async function wireWecom({ wecom, jobs }: Config, clock: Clock, log: Log, options: AppOptions): Promise<Wired> {
  if (wecom === undefined) return { ...withoutWecom(), stats: () => ({}), close: () => Promise.resolve() }
  const { baseUrl, corpId, agentId, secret } = wecom
  const waiting = options.pause === undefined ? {} : { pause: options.pause }
  // Processes that share a queue share the company's limits as well.
  const quota = jobs.kind === 'bull' ? await openRedisQuota({ ...jobs, corpId, log }) : createInProcessQuota(clock)
  const client = createWecomClient({
    ...{ baseUrl, corpId, agentId, secret, clock, log, quota },
    ...waiting,
    ...options.wecomWay,
  })
  return {
    actions: createActions(client),
    port: createWecomPort(client, { relationsOf, relationOf, readCallbackEvent }, async (card) => {
      await closeCard(client, card)
    }),
    channels: {
      wecom: createWecomMessageChannel({ client, clock, ...waiting }),
      task: createGuideTaskChannel({ client }),
    },
    ...(wecom.callback === undefined ? {} : { callback: openCallback({ ...wecom.callback, corpId }) }),
    signIn: createSignIn(client, corpId),
    stats: () => client.stats(),
    close: async () => {
      client.close()
      await quota.close()
    },
  }
}

/** Without WeCom configured everything else works; a send says what is missing. */
function withoutWecom(): Pick<Wired, 'port' | 'actions' | 'channels'> {
  const missing = new ConfigError('WeCom is not configured', [
    { path: 'wecom', message: 'is missing in service.yaml', hint: 'set corpId, agentId and secret' },
  ])
  const channel = (name: string): Channel => ({
    name,
    dispatch: () => Promise.resolve({ kind: 'refused', reason: 'not_configured', message: missing.message }),
    settle: () => Promise.resolve({ kind: 'absent' }),
    results: () => Promise.resolve(undefined),
    remind: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  })
  return {
    channels: { wecom: channel('wecom'), task: channel('guide-task') },
    port: missingPort(missing),
    actions: missingActions(missing),
  }
}

function missingPort(missing: ConfigError): WecomPort {
  const fail = () => Promise.reject(missing)
  return {
    readEvent: () => {
      throw missing
    },
    // eslint-disable-next-line require-yield -- there is nothing to yield
    async *groupIds() {
      throw missing
    },
    servingMembers: fail,
    relationPage: fail,
    customersOf: fail,
    relationsOf: fail,
    departments: fail,
    membersOf: fail,
    tags: fail,
    group: fail,
    sendWelcome: fail,
    uploadImage: fail,
    tell: fail,
    closeCard: fail,
  }
}

/** A guide's page needs an address that her WeCom can open. */
function sidebarRoutes({ wecom }: Config, deps: ServiceDeps, signIn: WecomSignIn | undefined) {
  if (wecom?.sidebar === undefined || signIn === undefined) return []
  const sessions = createGuideSessions(wecom.secret, deps.clock)
  return [sidebarRouter({ deps, signIn, sessions, publicUrl: wecom.sidebar.url })]
}

function callbackRoutes(deps: ServiceDeps, callback: CallbackReader): RawRoute[] {
  const intake = createCallbackIntake(deps)
  return wecomCallbackRoutes({
    verify: (query) => callback.verifyUrl(query),
    accept: (query, body) => {
      const { contentKey, message } = callback.open(query, body)
      return intake.accept(contentKey, message)
    },
  })
}
