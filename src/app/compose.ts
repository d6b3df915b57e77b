import { hostname } from 'node:os'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tarFolder } from '../adapters/archive/tar.js'
import { settingAside } from '../adapters/events/set-aside.js'
import { writeBehind } from '../adapters/events/write-behind.js'
import type { WecomStats } from '../adapters/wecom/transport/call-stats.js'
import type { Config } from '../config.js'
import { tables } from '../domain/events/tables.js'
import { lockDataDir } from './data-dir.js'
import { formatProblem, type Problem } from '../errors.js'
import type { RawRoute } from '../http/raw-routes.js'
import { sidebarRouter } from '../http/routes/sidebar.js'
import { hintLanes, registerLanes, runLane } from '../jobs/registry.js'
import { createOnce, createPause } from '../jobs/pause.js'
import { createRunAlone } from '../jobs/run-alone.js'
import { agreedSplit, changeSplit } from '../jobs/split.js'
import { type Log, throttled } from '../log.js'
import { secretHex } from '../random.js'
import type { ChatBot } from '../ports/chat-bot.js'
import type { DocumentStore } from '../ports/document-store.js'
import type { JobQueue } from '../ports/job-queue.js'
import { type Collections, openCollections } from '../stored/collections.js'
import type { Definitions, ServiceDeps } from '../services/runtime/deps.js'
import type { OperationDeps } from '../services/runtime/operations.js'
import {
  checkDefinitions,
  type LoadedDefinitions,
  loadDefinitions,
  unusable,
  textsOf,
} from '../services/definitions/load-definitions.js'
import { KnownEvents } from '../services/ingest/known-events.js'
import { Facts } from '../services/segments/facts.js'
import { correctContent } from '../services/touches/correct-content.js'
import { recordInterrupted } from '../services/runtime/audit.js'
import { datePast } from '../services/runtime/date-past.js'
import { refreshWhenChanged } from '../services/definitions/refresh-when-changed.js'
import { watchClock } from '../services/runtime/watch-clock.js'
import { createLeases } from '../services/runtime/with-lease.js'
import { followPublished } from '../services/definitions/follow-published.js'
import {
  type Publication,
  publishDefinitions,
  publishFiles,
  type PublishOptions,
} from '../services/definitions/publish-definitions.js'
import { arePublished, liveDefinitions, readPublished } from '../services/definitions/read-published.js'
import { type Clock, elapsedMs, MINUTE_MS, systemClock } from '../time.js'
import { openDocuments, openEvents, openJobs } from './open-stores.js'
import { pairStores } from './pair-stores.js'
import { startBot } from './start-bot.js'
import { isAlone } from './running-service.js'
import { callbackRoutes, sidebarRoutes } from './wire-http.js'
import { type WecomWiring, wireWecom } from './wire-wecom.js'

export type AppOptions = WecomWiring & {
  config: Config
  log: Log
  /** Default: the system's. */
  clock?: Clock
  /**
   * No other process can reach the documents, in which all work, its leases and its claims are told. Default: when they live
   * in the data directory, which one process holds.
   */
  alone?: boolean
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
  /** Takes what is published as the running definitions, whatever they are now. */
  reload(): Promise<void>
  /** Checks the files, makes them live and takes them over. @throws {InvalidInputError} with every problem; nothing changes then */
  publish(options?: PublishOptions): Promise<Publication[]>
  /** Takes over what another process has published, if it has. Work does so by itself, before it is taken up. */
  follow(): Promise<void>
  /** Into how many shards work is split. */
  readonly split: { readonly current: number }
  /**
   * Splits work as the configuration says. On shared stores that waits, a minute at most, for who works by another split;
   * call it before `queue.start()`.
   */
  applySplit(): Promise<void>
  /** Works one lane now, outside the queue. Resolves to whether it did; not where somebody works it already. */
  runLane(name: string, signal?: AbortSignal): Promise<boolean>
  /** Several processes may work on these stores at the same time. */
  readonly shared: boolean
  /** What operations are run with. Work that is done `alone` in one process waits for `queue.start()`. */
  readonly operations: OperationDeps
  /** Drops all data of this app's stores. */
  drop(): Promise<void>
  /** In reverse order of opening; may be called twice. */
  close(): Promise<void>
}

/** The composition root: opens the stores, wires ports to adapters, registers the lanes. Takes no job before `queue.start()`. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, log, clock = systemClock } = options
  const files = await checkDefinitions(config.paths, textsOf(config))
  if (files.loaded === undefined) throw unusable(files.problems)
  let loaded = files.loaded
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  try {
    const embedded = config.documents.kind === 'sqlite' || config.events.kind === 'chdb'
    const alone = options.alone ?? isAlone(config)
    if (options.lock ?? embedded) {
      const lock = await lockDataDir(config.dataDir)
      closers.push(() => lock.release())
    }
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
    const documents = await openDocuments(config, { fsync: options.fsync ?? true, log })
    closers.push(() => documents.close())
    const engine = await openEvents(config, options.fsync ?? true)
    let events = engine
    closers.push(() => events.close())
    const queue = await openJobs(config, log)
    closers.push(() => queue.close())
    const wired = await wireWecom(config, clock, log, options)
    closers.push(() => wired.close())

    const docs = await openCollections(documents)
    await pairStores(docs, engine)
    // Who alone has the documents may keep rows there for a while. Not while a group is half done whose rows may be in the engine
    // under their own tokens already: it was begun by a version that wrote through.
    const isHalfDone =
      (await docs.waitingRows.findOne({})) === undefined &&
      (await docs.batches.findOne({ state: 'planned' })) !== undefined
    events =
      documents.kind === 'sqlite' && !isHalfDone
        ? await writeBehind(engine, docs.waitingRows, { log, tables })
        : settingAside({ store: engine, waiting: docs.waitingRows, log })
    await allowBrokenJourneys(docs, log, files.problems)
    const { shards } = config.jobs
    const split = { current: alone ? shards : await agreedSplit(docs.meta) }
    const hintLog = throttled(log)
    closers.push(() => Promise.resolve(hintLog.flush()))
    const deps: ServiceDeps = {
      clock,
      log,
      docs,
      events,
      facts: new Facts(events, docs, alone),
      knownEvents: new KnownEvents(events, alone),
      jobs: options.hints === false ? { add: () => Promise.resolve() } : hintLanes(queue, split, hintLog),
      definitions: { current: emptyOf(loaded) },
      channels: wired.channels,
      brand: { name: config.brand.name, timeZone: config.brand.timeZone, locale: config.brand.locale },
      ingest: { aheadMs: config.ingest.aheadMinutes * MINUTE_MS },
      sending: config.sending,
      ...(config.linkBase !== undefined && { linkBase: config.linkBase }),
      seed: config.splitSeed,
      worker: { elapsedMs, alone, fence: 0, isLate: () => false },
      wecom: wired.port,
      wecomActions: wired.actions,
      wecomSettings: {
        reconcileAt: config.wecom?.reconcileAt ?? 'off',
        lostNotice: config.wecom?.lostNotice ?? { guide: false, userIds: [] },
        writeback: config.wecom?.writeback ?? 'off',
        statisticsAt: config.wecom?.statisticsAt ?? 'off',
      },
    }
    await datePast(deps)
    await recordInterrupted(deps, alone)
    // Nothing is made live here: whoever opens the stores may only want to know something.
    if ((await arePublished(deps, loaded.files)) === undefined)
      deps.definitions.current = await liveDefinitions(deps, loaded)
    // What a newer program published: this one answers by its own files, works on nothing, and may publish them.
    else if (!(await followPublished(deps)))
      deps.definitions.current = { ...(await liveDefinitions(deps, loaded)), version: 0 }
    const owner = `${hostname()}:${process.pid}:${secretHex(4)}`
    const watched = options.clock === undefined && { isClockAhead: watchClock(clock, elapsedMs, log) }
    const leases = createLeases({ meta: docs.meta, log, owner, elapsedMs, alone, ...watched })
    registerLanes(queue, deps, {
      log,
      leases,
      ...(options.onLaneError === undefined ? {} : { onError: options.onLaneError }),
    })
    const publish = async ({ keepJourneys = false, ...options }: PublishOptions = {}) => {
      const next = await (keepJourneys ? loadWithoutJourneys(config) : loadDefinitions(config.paths, textsOf(config)))
      const done = keepJourneys ? await publishFiles(deps, next) : await publishDefinitions(deps, next, options)
      loaded = next
      await followPublished(deps)
      for (const contentId of options.correct ?? []) await correctContent(deps, contentId)
      return done
    }
    const operations: OperationDeps = {
      deps,
      documents,
      publish,
      alone: createRunAlone(queue, alone ? undefined : leases),
      copying: {
        archives: tarFolder(join(config.dataDir, 'backups')),
        once: createOnce(leases),
        pause: createPause(leases, split),
      },
    }
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
      publicRoutes: sidebarRoutes(config, operations, wired.signIn),
      wecomStats: wired.stats,
      startBot: () => startBot(config, deps),
      reload: async () => {
        deps.definitions.current = await readPublished(deps)
        await refreshWhenChanged(deps)
      },
      publish,
      follow: async () => void (await followPublished(deps)),
      split,
      applySplit: async () => {
        if (alone || split.current === shards) return
        log.info('work is being split anew', { from: split.current, to: shards })
        split.current = await changeSplit(leases, shards, AbortSignal.timeout(MINUTE_MS))
        if (split.current !== shards)
          log.warn('work stays split as it was: another process does not let go', { split: split.current })
      },
      runLane: (name, signal) => runLane(name, deps, leases, { signal }),
      shared: !alone,
      operations,
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

/** A broken journey file never stops a service that has published ones to run on. @throws {InvalidInputError} when it has none */
async function allowBrokenJourneys(docs: Collections, log: Log, problems: readonly Problem[]): Promise<void> {
  if (problems.length === 0) return
  const published = await docs.published.findOne({ kind: 'journey' })
  if (published === undefined) throw unusable(problems)
  for (const p of problems)
    log.warn('journey file left alone, the published version runs', { problem: formatProblem(p) })
}

/** The files, those of journeys that can be used among them. @throws {InvalidInputError} when another one cannot */
async function loadWithoutJourneys(config: Config): Promise<LoadedDefinitions> {
  const { loaded, problems } = await checkDefinitions(config.paths, textsOf(config))
  if (loaded === undefined) throw unusable(problems)
  return loaded
}

function emptyOf(loaded: LoadedDefinitions): Definitions {
  return {
    ...loaded,
    version: 0,
    pins: {},
    corrected: new Map(),
    withdrawn: new Set(),
    journeys: new Map(),
    pinned: new Map(),
    evaluables: [],
  }
}
