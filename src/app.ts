import { hostname } from 'node:os'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { contactToRecord, deletionToRecord, readCallbackEvent, wecomTagName } from '../connectors/wecom/map.js'
import { openMongoDocuments } from './adapters/documents/mongo.js'
import { openSqliteDocuments } from './adapters/documents/sqlite.js'
import { openChdbEvents } from './adapters/events/chdb.js'
import { openClickhouseEvents } from './adapters/events/clickhouse.js'
import { openBullQueue } from './adapters/queue/bull.js'
import { openInProcessQueue } from './adapters/queue/in-process.js'
import { type CallbackReader, openCallback } from './adapters/wecom/callback.js'
import { createWecomClient, type WecomClient } from './adapters/wecom/client.js'
import { iterateContacts } from './adapters/wecom/contacts.js'
import { closeCard, createGuideTaskChannel } from './channels/guide-task.js'
import { createWecomMessageChannel } from './channels/wecom-message.js'
import type { Config } from './config.js'
import { lockDataDir } from './data-dir.js'
import { ConfigError, formatProblem, InvalidInputError, type Problem } from './errors.js'
import { wecomCallbackRouter } from './http/routes/wecom-callback.js'
import { registerLanes, runLane } from './jobs/registry.js'
import { createRunAlone, type RunAlone } from './jobs/run-alone.js'
import type { Log } from './log.js'
import type { Channel } from './ports/channel.js'
import type { DocumentStore } from './ports/document-store.js'
import type { EventStore } from './ports/event-store.js'
import type { JobQueue } from './ports/job-queue.js'
import type { WecomEvent, WecomPort } from './ports/wecom.js'
import { type Collections, openCollections } from './services/collections.js'
import type { Definitions } from './services/deps.js'
import { acceptCallback } from './services/handle-callbacks.js'
import type { ServiceDeps } from './services/lanes.js'
import { checkDefinitions, type LoadedDefinitions, loadDefinitions } from './services/load-definitions.js'
import { refreshWhenChanged } from './services/run-schedules.js'
import { liveDefinitions, type Publication, publishDefinitions } from './services/publish-definitions.js'
import { type Clock, systemClock } from './time.js'

export type AppOptions = {
  config: Config
  log: Log
  /** Default: the system's. */
  clock?: Clock
  /** Who this process is among those that share the stores. */
  owner?: string
  /** How the WeCom client waits; default real time. Give one with a virtual clock. */
  pause?: (ms: number) => Promise<void>
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
  readonly callbackRoutes: ReturnType<typeof wecomCallbackRouter>[]
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
    const wired = wireWecom(config, clock, log, options.pause)
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
      callbackRoutes: callback === undefined ? [] : [callbackRoutes(deps, callback)],
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
  return jobs.kind === 'bull' ? openBullQueue({ url: jobs.url, prefix: jobs.prefix, log }) : openInProcessQueue({ log })
}

type Wired = { port: WecomPort; channels: ServiceDeps['channels']; callback?: CallbackReader; close(): Promise<void> }

function wireWecom({ wecom }: Config, clock: Clock, log: Log, pause: AppOptions['pause']): Wired {
  if (wecom === undefined) return { ...withoutWecom(), close: () => Promise.resolve() }
  const { baseUrl, corpId, agentId, secret } = wecom
  const waiting = pause === undefined ? {} : { pause }
  const client = createWecomClient({ baseUrl, corpId, agentId, secret, clock, log, ...waiting })
  return {
    port: wecomPort(client, clock),
    channels: {
      wecom: createWecomMessageChannel({ client, clock, ...waiting }),
      task: createGuideTaskChannel({ client }),
    },
    ...(wecom.callback === undefined ? {} : { callback: openCallback({ ...wecom.callback, corpId }) }),
    close: async () => client.close(),
  }
}

function wecomPort(client: WecomClient, clock: Clock): WecomPort {
  const tagNames = async () =>
    new Map((await client.tags.list()).flatMap((g) => g.tag.map((t) => [t.id, wecomTagName(g.group_name, t.name)])))
  return {
    async *contacts() {
      const names = await tagNames()
      for await (const batch of iterateContacts(client))
        yield batch.map((detail) => contactToRecord(detail, clock.now(), names))
    },
    contact: async (externalUserId) => {
      const detail = await client.contacts.get(externalUserId)
      return detail === undefined ? undefined : contactToRecord(detail, clock.now())
    },
    closeCard: async (card) => {
      await closeCard(client, card)
    },
  }
}

/** Without WeCom configured everything else works; a send says what is missing. */
function withoutWecom(): Pick<Wired, 'port' | 'channels'> {
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
    port: {
      // eslint-disable-next-line require-yield -- there is nothing to yield
      async *contacts() {
        throw missing
      },
      contact: () => Promise.reject(missing),
      closeCard: () => Promise.reject(missing),
    },
  }
}

function callbackRoutes(deps: ServiceDeps, callback: CallbackReader) {
  return wecomCallbackRouter({
    verify: (query) => callback.verifyUrl(query),
    accept: async (query, body) => {
      const { content, contentKey } = callback.read(query, body)
      await acceptCallback(deps, contentKey, meaningOf(content, deps.clock.now()))
    },
  })
}

function meaningOf(content: Record<string, unknown>, now: Date): WecomEvent {
  const event = readCallbackEvent(content)
  switch (event.kind) {
    case 'fetch_contact':
      return { kind: 'contact', externalUserId: event.externalUserId, userId: event.userId }
    case 'contact_deleted':
      return { kind: 'lost_contact', record: deletionToRecord(event, now) }
    case 'card': {
      const { taskId, key, userId, responseCode, at } = event
      return { kind: 'card', taskId, key, userId, at, ...(responseCode === undefined ? {} : { responseCode }) }
    }
    case 'fetch_tags':
    case 'other':
      return { kind: 'other', name: event.kind === 'other' ? event.name : event.why }
  }
}
