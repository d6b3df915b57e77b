import { hostname } from 'node:os'
import { mkdir } from 'node:fs/promises'
import type { WecomStats } from '../adapters/wecom/call-stats.js'
import type { Config } from '../config.js'
import { lockDataDir } from './data-dir.js'
import { formatProblem, InvalidInputError, type Problem } from '../errors.js'
import type { RawRoute } from '../http/raw-routes.js'
import { sidebarRouter } from '../http/routes/sidebar.js'
import { registerLanes, runLane } from '../jobs/registry.js'
import { createRunAlone, type RunAlone } from '../jobs/run-alone.js'
import type { Log } from '../log.js'
import type { ChatBot } from '../ports/chat-bot.js'
import type { DocumentStore } from '../ports/document-store.js'
import type { JobQueue } from '../ports/job-queue.js'
import { type Collections, openCollections } from '../stored/collections.js'
import type { Definitions, ServiceDeps } from '../services/runtime/deps.js'
import { checkDefinitions, type LoadedDefinitions, loadDefinitions } from '../services/definitions/load-definitions.js'
import { refreshWhenChanged } from '../services/tags/run-schedules.js'
import { storeInstants } from '../services/tags/store-instants.js'
import { liveDefinitions, type Publication, publishDefinitions } from '../services/definitions/publish-definitions.js'
import { type Clock, systemClock } from '../time.js'
import { openDocuments, openEvents, openJobs } from './open-stores.js'
import { startBot } from './start-bot.js'
import { callbackRoutes, sidebarRoutes } from './wire-http.js'
import { type WecomWiring, wireWecom } from './wire-wecom.js'

export type AppOptions = WecomWiring & {
  config: Config
  log: Log
  /** Default: the system's. */
  clock?: Clock
  /** Who this process is among those that share the stores. */
  owner?: string
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
    await storeInstants(deps)
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

/** A broken journey file never stops a service that has published ones to run on. @throws {InvalidInputError} when it has none */
async function allowBrokenJourneys(docs: Collections, log: Log, problems: readonly Problem[]): Promise<void> {
  if (problems.length === 0) return
  const published = await docs.published.findOne({ kind: 'journey' })
  if (published === undefined) throw new InvalidInputError('Definitions are not usable', problems)
  for (const p of problems)
    log.warn('journey file left alone, the published version runs', { problem: formatProblem(p) })
}

function emptyOf(loaded: LoadedDefinitions): Definitions {
  return { ...loaded, journeys: new Map(), pinned: new Map(), evaluables: [] }
}
