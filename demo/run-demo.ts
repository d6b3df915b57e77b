import { createReadStream, existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { parse } from 'csv-parse'
import { z } from 'zod'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js'
import { type App, createApp } from '../src/app/compose.js'
import type { Progress } from '../src/print/progress.js'
import { renderReportHtml } from './report-html.js'
import type { Config, Env } from '../src/config.js'
import { DemoReport, stringifyReport } from './demo-report.js'
import { DemoStatus } from './demo-status.js'
import { type DemoNames, type Locale, namesOf } from './names.js'
import { eventsTable } from '../src/domain/events/tables.js'
import { TouchState } from '../src/domain/touches/touch.js'
import { ConfigError, messageOf, type Problem } from '../src/errors.js'
import { openApiKeys } from '../src/http/api-key.js'
import { createMetrics } from '../src/http/metrics.js'
import type { RawRoute } from '../src/http/raw-routes.js'
import { type Bilingual, both as bothOf } from '../src/print/words.js'
import { loadDefinitions } from '../src/services/definitions/load-definitions.js'
import { createDemoRoutes, type DemoRoutesDeps } from './routes.js'
import { createHttpServer, requireKey } from '../src/http/server.js'
import type { Log, LogFields } from '../src/log.js'
import { parseInput } from '../src/parse.js'
import { hashKey } from '../src/random.js'
import { acceptRecords } from '../src/services/ingest/accept-records.js'
import { refreshNow } from '../src/services/tags/refresh-profiles.js'
import { live } from '../src/play/live.js'
import type { Work } from '../src/services/runtime/lanes.js'
import { publishDefinitions } from '../src/services/definitions/publish-definitions.js'
import { syncWecom } from '../src/services/wecom/sync-wecom.js'
import { lockDataDir } from '../src/app/data-dir.js'
import { said } from '../src/said.js'
import { packageRoot } from '../src/package-root.js'
import { DAY_MS, elapsedMs, HOUR_MS, ManualClock, MINUTE_MS } from '../src/time.js'
import { Feed, tickOf } from './feed.js'
import { loadGiftShop } from './gift-shop.js'
import { collectFigures } from './figures.js'
import { expectRecords, Forecast } from './forecast.js'
import { loadDemoScenario } from './scenario.js'
import { atOnce, freeLeases } from '../src/services/runtime/with-lease.js'
import { wecomOf } from './wecom-of.js'

/** The hour in which the order file ends. */
const END = new Date('2011-12-09T13:00:00Z')
const HISTORY_BATCH = 500
const POSITION = 'demo'
/** What guides and customers do arrives gathered per this much virtual time, or with the next orders. */
const WORLD_TICK_MS = 30 * MINUTE_MS
/** When nothing arrives, what our own work added to the inbox waits this long. */
const OWN_TICK_MS = 60 * MINUTE_MS

export type DemoOptions = {
  dataDir: string
  seed: number
  /** Length of the live phase, before the end of the file. */
  days: number
  fresh: boolean
  env: Env
  log: Log
  /** Of the page, the report, and what `progress` is told. */
  lang: Locale
  /** Whether the page of a run that is finished is served, too. */
  keep: boolean
  /** How many share the work of the live phase, each as a process of its own would: more than one on shared stores. Default 1. */
  workers?: number
  progress: Progress
  /** Aborted, it stops at the next instant or batch; the same call goes on from there. */
  signal?: AbortSignal
  onProblem: (problem: Problem) => void
  /** Where the page to watch by is served, once it is. */
  onPage: (url: string) => void
}

export type DemoRun = {
  report: DemoReport
  names: DemoNames
  /** Stops serving the page. */
  close(): Promise<void>
}

/**
 * A year of real orders through the whole product: history up to a date, then the last days of the file live on the
 * virtual clock, with the local sandbox as WeCom. State is in `dataDir`; a run that was killed goes on from it.
 *
 * @throws {ConfigError} when `dataDir` holds a run with another seed or length
 * @throws {DOMException} AbortError, when stopped by `signal`
 */
export async function runDemo(options: DemoOptions): Promise<DemoRun> {
  const config = await demoConfig(options)
  const lock = await lockDataDir(options.dataDir)
  try {
    const run = await runLocked(options, config)
    return {
      ...run,
      close: async () => {
        await run.close()
        await lock.release()
      },
    }
  } catch (err) {
    await lock.release()
    throw err
  }
}

async function runLocked(options: DemoOptions, config: Config): Promise<DemoRun> {
  await checkOwn(options.dataDir)
  if (options.fresh) await startFresh(options, config)
  await checkSettings(options)
  const finished = await finishedRun(options.dataDir)
  if (finished === undefined) return new Demo(options, config).run()
  const { report, status } = finished
  const names = namesOf(await loadDefinitions(config.paths), options.lang)
  if (!options.keep) return { report, names, close: () => Promise.resolve() }
  const html = renderReportHtml(report, options.lang, names)
  const server = await servePage(options, config, { status: () => status, report: () => html })
  options.onPage(server.page)
  return { report, names, close: () => server.close() }
}

/** Serves the page to watch by. `page` is its address with the key, `url` that of the server. */
async function servePage(
  { dataDir, log, lang }: DemoOptions,
  { http }: Config,
  shown: Pick<DemoRoutesDeps, 'status' | 'report'>,
  rawRoutes: readonly RawRoute[] = [],
): Promise<{ url: string; page: string; close(): Promise<void> }> {
  const { apiKeys } = await openApiKeys(http.apiKeys, dataDir)
  const server = createHttpServer({
    ...{ host: http.host, port: http.port, apiKeys, log, routes: [], rawRoutes },
    publicRoutes: [createDemoRoutes({ ...shown, lang, requireKey: requireKey(apiKeys) })],
    health: () => Promise.resolve({ ready: true, parts: { demo: 'ok' } }),
    metrics: createMetrics(),
  })
  const { url } = await server.listen()
  return { url, page: `${url}/demo#key=${apiKeys[0]}`, close: () => server.close() }
}

class Demo {
  private readonly from: Date
  private readonly clock: ManualClock
  private readonly status: DemoStatus
  private readonly closers: (() => Promise<void>)[] = []
  private laneError: Error | undefined
  private html: string | undefined
  private lastCountMs = -Infinity
  private feed!: Feed
  private app!: App
  /** A worker that takes jobs from now on until the run is closed. */
  private openApp!: () => Promise<App>
  private readonly workers: number
  private sandbox!: Sandbox
  private forecast!: Forecast
  /** What there is of history: records, near enough, and contacts. */
  private history = { records: 0, contacts: 0 }
  private readonly whole = { wholeLeftMs: () => this.forecast.leftMs() }

  constructor(
    private readonly options: DemoOptions,
    private readonly config: Config,
  ) {
    this.workers = options.workers ?? 1
    this.from = new Date(END.getTime() - options.days * DAY_MS)
    this.clock = new ManualClock(this.from)
    this.status = {
      phase: 'history',
      virtualNow: this.from.toISOString(),
      from: this.from.toISOString(),
      to: END.toISOString(),
      progress: 0,
      profiles: 0,
      merges: 0,
      events: 0,
      touches: {},
      tasks: { open: 0, done: 0 },
      journeys: {},
      recent: [],
      messagesPerDay: [],
    }
  }

  async run(): Promise<DemoRun> {
    try {
      await this.open()
      const { docs } = this.app.deps
      const position = await docs.meta.get(POSITION)
      if (position?.text !== 'live') await this.loadHistory()
      for (let others = this.workers - 1; others > 0; others--) await this.openApp()
      await this.live(position?.text === 'live' ? position.at : undefined)
      const report = await this.finish()
      return { report, names: this.names(), close: () => this.close() }
    } catch (err) {
      await this.close()
      throw err
    }
  }

  private async open(): Promise<void> {
    const { dataDir, seed, days } = this.options
    await mkdir(dataDir, { recursive: true })
    const scenario = await loadDemoScenario(join(packageRoot(), 'samples/wecom-contacts.csv'), {
      seed,
      from: this.from,
      to: END,
      timeZone: this.config.brand.timeZone,
    })
    this.history = {
      records: expectRecords(days),
      contacts: scenario.contacts.filter(({ addedAt }) => addedAt <= this.from).length,
    }
    this.forecast = new Forecast({ ...this.history, liveMs: days * DAY_MS })
    const startSandboxAt = () =>
      startSandbox({ file: join(dataDir, 'sandbox.sqlite'), seed, startAt: this.from, clock: 'step', scenario })
    const watch: Log = { ...this.options.log, info: (fact, fields) => this.note(fact, fields) }
    const sandbox = await startSandboxAt()
    this.sandbox = sandbox
    this.closers.push(() => sandbox.close())
    this.openApp = async () => {
      const app = await createApp({
        config: {
          ...this.config,
          wecom: wecomOf(sandbox, 'off'),
        },
        log: watch,
        clock: this.clock,
        alone: this.workers === 1,
        pause: () => Promise.resolve(),
        fsync: false,
        lock: false,
        hints: false,
        onLaneError: (err) => (this.laneError ??= err instanceof Error ? err : new Error(messageOf(err))),
      })
      this.closers.push(() => app.close())
      await app.queue.start()
      return app
    }
    this.app = await this.openApp()
    if (this.workers > 1) await freeLeases(this.app.deps.docs.meta) // a run that was killed held some
    await this.serve()
    this.feed = await Feed.open(this.config.sources, this.options.onProblem)
  }

  private async serve(): Promise<void> {
    const shown = { status: () => this.status, report: () => this.html }
    const server = await servePage(this.options, this.config, shown, this.app.callbackRoutes)
    this.closers.push(() => server.close())
    this.sandbox.setCallbackUrl(`${server.url}/wecom/callback`)
    this.options.onPage(server.page)
  }

  /** Everything before the live phase; batches are keyed, so a repeat after a kill takes nothing twice. */
  private async loadHistory(): Promise<void> {
    const { app, options } = this
    const { deps } = app
    const live = deps.definitions.current
    // A bulk import is evaluated once, at its end.
    deps.definitions.current = { ...live, evaluables: [] }
    const { forecast, history } = this
    const total = history.records + history.contacts
    options.progress.start(this.words('载入历史', 'Loading history'), total, this.whole)
    forecast.begin('history')
    let records = 0
    for (let n = 0; ; n++) {
      options.signal?.throwIfAborted()
      const batch = await this.feed.take(this.from, HISTORY_BATCH)
      if (batch.length === 0) break
      const isNew = await acceptRecords(deps, `history:${n}`, batch)
      await this.work('process-batches')
      records += batch.length
      if (isNew) forecast.reach('history', records)
      else forecast.find('history', records)
      options.progress.set(records)
      await this.count(records / total)
    }
    options.progress.total(records + history.contacts)
    forecast.begin('contacts')
    options.progress.step(this.words('读企微好友', 'reading WeCom contacts'))
    await syncWecom(deps, (contacts) => {
      forecast.reach('contacts', contacts)
      options.progress.set(records + contacts)
    })
    await this.work('process-batches')
    await publishDefinitions(deps, app.loaded)
    await app.reload()
    forecast.begin('evaluation')
    options.progress.step(this.words('第一次算每个人的标签和阶段', 'first evaluation of everybody'))
    await refreshNow(deps, { _id: 'demo-start', kind: 'all', cause: 'operator' }, atOnce)
    options.progress.done()
    await this.moveTo(this.from)
  }

  /** The last days of the file, instant by instant. `resumeAt` is the instant that was being worked off. */
  private async live(resumeAt: Date | undefined): Promise<void> {
    const { progress, days, signal } = this.options
    this.status.phase = 'live'
    const at = resumeAt ?? this.from
    const label = this.words(`实时 ${days} 天`, `Living ${days} days`)
    progress.start(label, days * 24, { ...this.whole, from: this.hoursTo(at) })
    this.forecast.begin('live')
    // Ticks before the present one have been taken in full.
    await this.skipTo(at)
    if (resumeAt !== undefined) this.forecast.find('live', resumeAt.getTime() - this.from.getTime())
    await live(this.app.deps, {
      from: at,
      signal,
      work: ({ name }) => this.work(name),
      arrive: async (now) => {
        await this.moveTo(now)
        await this.sandbox.advanceTo(now)
        await this.takeFeed(now)
      },
      next: async (now, later) => {
        const hours = this.hoursTo(now)
        this.forecast.reach('live', now.getTime() - this.from.getTime())
        progress.set(hours, now.toISOString().slice(0, 16).replace('T', ' '))
        await this.count(hours / (days * 24))
        return this.nextInstant(now, later)
      },
    })
    progress.done()
    this.forecast.begin('report')
  }

  private hoursTo(at: Date): number {
    return Math.floor((at.getTime() - this.from.getTime()) / HOUR_MS)
  }

  /** Written before the instant is worked off: after a kill it is worked off again, and every effect has a key. */
  private async moveTo(at: Date): Promise<void> {
    this.clock.set(at)
    this.status.virtualNow = at.toISOString()
    await this.app.deps.docs.meta.updateEach([{ id: POSITION, update: { $set: { text: 'live', at } }, upsert: true }])
  }

  private async skipTo(at: Date): Promise<void> {
    const before = new Date(Math.max(this.from.getTime(), tickOf(at, this.from).getTime() - 15 * 60_000))
    while ((await this.feed.take(before, HISTORY_BATCH)).length > 0);
  }

  private async takeFeed(at: Date): Promise<void> {
    if (tickOf(at, this.from).getTime() !== at.getTime()) return
    for (let n = 0; ; n++) {
      const batch = await this.feed.take(at, HISTORY_BATCH)
      if (batch.length === 0) return
      await acceptRecords(this.app.deps, `feed:${at.toISOString()}:${n}`, batch)
    }
  }

  /** Works off one lane, through the queue. */
  private async work(lane: string): Promise<void> {
    await this.app.queue.add(lane, undefined, { key: lane, attempts: 1 })
    await this.app.queue.idle()
    if (this.laneError !== undefined) throw this.laneError
  }

  /** @param later - when each lane has work */
  private async nextInstant(after: Date, later: readonly Work[]): Promise<Date | undefined> {
    const feedAt = await this.feed.nextAt()
    const sandboxAt = this.sandbox.nextAt()
    const times = later.map(({ name, at }) =>
      name === 'process-batches' ? tickOf(new Date(after.getTime() + 1), this.from, OWN_TICK_MS) : at,
    )
    const candidates = [
      ...times,
      feedAt === undefined ? undefined : tickOf(feedAt, this.from),
      sandboxAt === undefined ? undefined : tickOf(sandboxAt, this.from, WORLD_TICK_MS),
    ].flatMap((t) => (t === undefined ? [] : [Math.max(t.getTime(), after.getTime() + 1)]))
    const next = Math.min(...candidates)
    return next <= END.getTime() ? new Date(next) : undefined
  }

  private async finish(): Promise<DemoReport> {
    const { dataDir, seed, days } = this.options
    const reports = await this.feed.finish()
    const source = reports.find((r) => r.source !== undefined)?.source
    if (source === undefined) throw new Error('no source of orders was read')
    const truth = await loadTruth(join(packageRoot(), 'samples/members-truth.csv'))
    const report = parseInput(
      DemoReport,
      await collectFigures({
        deps: this.app.deps,
        sandbox: this.sandbox,
        source,
        truth,
        seed,
        days,
        from: this.from,
        to: END,
      }),
      'The figures do not fit the report',
    )
    this.html = renderReportHtml(report, this.options.lang, this.names())
    await this.count(1, true)
    this.status.phase = 'done'
    await writeFile(join(dataDir, 'report.html'), this.html)
    await writeFile(join(dataDir, 'status.json'), JSON.stringify(this.status))
    await writeFile(join(dataDir, 'report.json.part'), stringifyReport(report))
    await rename(join(dataDir, 'report.json.part'), join(dataDir, 'report.json'))
    return report
  }

  /** Figures for the page, every other second. */
  private async count(progress: number, now = false): Promise<void> {
    this.status.progress = Math.min(1, progress)
    if (!now && elapsedMs() - this.lastCountMs < 2_000) return
    this.lastCountMs = elapsedMs()
    const { docs } = this.app.deps
    this.status.merges = await docs.merges.count({})
    // Every id given out is a profile until it is merged away.
    this.status.profiles = ((await docs.meta.get('counter:profile'))?.value ?? 0) - this.status.merges
    const { events } = this.app.deps
    const [waiting, [stored]] = [
      events.unread(eventsTable).length,
      await events.query(`SELECT count() AS n FROM ${eventsTable.name}`, z.object({ n: z.number() }), 'serving', {
        behind: true,
      }),
    ]
    this.status.events = (stored?.n ?? 0) + waiting
    for (const state of TouchState.options) {
      this.status.touches[state] = await docs.touches.count({ state })
    }
    this.status.tasks = {
      open: await docs.tasks.count({ state: 'open' }),
      done: await docs.tasks.count({ state: 'done' }),
    }
    for (const journeyId of this.app.deps.definitions.current.journeys.keys()) {
      this.status.journeys[journeyId] = {
        entered: await docs.runs.count({ journeyId }),
        waiting: await docs.runs.count({ journeyId, state: 'waiting' }),
        heldOut: await docs.runs.count({ journeyId, arm: 'holdout' }),
      }
    }
    const perDay = Array.from(
      { length: Math.floor((this.clock.now().getTime() - this.from.getTime()) / DAY_MS) + 1 },
      () => 0,
    )
    for (const message of this.sandbox.log()) {
      const day = Math.floor((message.sentAt.getTime() - this.from.getTime()) / DAY_MS)
      if (perDay[day] !== undefined) perDay[day]++
    }
    this.status.messagesPerDay = perDay
  }

  private words(zh: string, en: string): string {
    return bothOf(zh, en)[this.options.lang]
  }

  private names(): DemoNames {
    return namesOf(this.app.loaded, this.options.lang)
  }

  private note(fact: string, fields: LogFields = {}): void {
    const text = FACTS[fact]
    if (text === undefined) return
    const details = Object.values(fields).join(' ')
    this.status.recent = [
      { at: this.clock.now().toISOString(), kind: fact, text: `${text[this.options.lang]} ${details}` },
      ...this.status.recent,
    ].slice(0, 20)
  }

  private async close(): Promise<void> {
    for (let closer = this.closers.pop(); closer !== undefined; closer = this.closers.pop()) await closer()
  }
}

const FACTS: Readonly<Record<string, Bilingual>> = {
  'dispatch created': bothOf('已交给企微', 'handed to WeCom'),
  'touch suppressed': bothOf('未放行', 'suppressed'),
  'journey entered': bothOf('进入旅程', 'entered'),
  'task closed': bothOf('任务完成', 'task closed'),
}

async function demoConfig({ dataDir, env, seed, workers = 1 }: DemoOptions): Promise<Config> {
  const config = await loadGiftShop(env)
  if (workers > 1 && (config.documents.kind !== 'mongo' || config.jobs.kind !== 'bull'))
    throw new ConfigError(said('几个 worker 要共用存储', 'Several workers need shared stores'), [
      {
        path: '--workers',
        message: said(`是 ${workers}，文档或队列却在本进程里`, `is ${workers}, but documents or jobs are embedded`),
        hint: said('设置 MONGODB_URI 和 REDIS_URL', 'set MONGODB_URI and REDIS_URL'),
      },
    ])
  // A database and key prefix of its own, named after the data directory.
  const name = `siyu_demo_${basename(resolve(dataDir))
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 12)}_${hashKey(8, resolve(dataDir))}`
  return {
    ...config,
    dataDir,
    http: { ...config.http, port: 0 },
    // It reaches nobody but the sandbox.
    sending: { mode: 'live', allowList: [] },
    splitSeed: seed,
    documents: config.documents.kind === 'mongo' ? { ...config.documents, database: name } : config.documents,
    events: config.events.kind === 'clickhouse' ? { ...config.events, database: name } : config.events,
    jobs: config.jobs.kind === 'bull' ? { ...config.jobs, prefix: name } : config.jobs,
  }
}

const Settings = z.object({ seed: z.number(), days: z.number() })

/** What a demo keeps, from its first moment on, beside `demo.json`, which is there before and goes last. */
const STORES = ['documents.sqlite', 'events', 'sandbox.sqlite']

/** @throws {ConfigError} where somebody else's stores are: it would mix its people into them, or delete them */
async function checkOwn(dataDir: string): Promise<void> {
  const has = (name: string) => existsSync(join(dataDir, name))
  const found = STORES.filter(has)
  if (found.length === 0 || has('demo.json')) return
  throw new ConfigError(said('这个目录里是别的数据', 'The directory holds data that no demo made'), [
    {
      file: dataDir,
      path: '--data',
      message: said(`里面有 ${found.join('、')}，没有 demo.json`, `${found.join(', ')} without demo.json`),
      hint: said('换一个空目录', 'use an empty directory'),
    },
  ])
}

async function checkSettings({ dataDir, seed, days }: DemoOptions): Promise<void> {
  const file = join(dataDir, 'demo.json')
  const text = await readIfThere(file)
  if (text === undefined) {
    await mkdir(dataDir, { recursive: true })
    await writeFile(file, `${JSON.stringify({ seed, days })}\n`)
    return
  }
  const stored = parseInput(Settings, JSON.parse(text), `${file} cannot be read`)
  if (stored.seed === seed && stored.days === days) return
  throw new ConfigError('The data directory holds another demo', [
    {
      file,
      path: stored.seed === seed ? '--days' : '--seed',
      message: `it was started with seed ${stored.seed} and ${stored.days} days, not seed ${seed} and ${days} days`,
      hint: 'use the same values to go on, --fresh to begin anew, or another --data directory',
    },
  ])
}

/** What a run that has ended left: its report, and what its page showed last. */
async function finishedRun(dataDir: string): Promise<{ report: DemoReport; status: DemoStatus } | undefined> {
  const report = await readIfThere(join(dataDir, 'report.json'))
  const status = await readIfThere(join(dataDir, 'status.json'))
  if (report === undefined || status === undefined) return undefined
  return {
    report: parseInput(DemoReport, JSON.parse(report), 'The stored report cannot be read'),
    status: parseInput(DemoStatus, JSON.parse(status), 'The stored page cannot be read'),
  }
}

/** Drops what the demo keeps, and nothing else. */
async function startFresh({ dataDir, log }: DemoOptions, config: Config): Promise<void> {
  if (config.documents.kind === 'mongo' || config.events.kind === 'clickhouse' || config.jobs.kind === 'bull') {
    const app = await createApp({ config, log, fsync: false, lock: false })
    try {
      await app.drop()
    } finally {
      await app.close()
    }
  }
  const kept = [
    'documents.sqlite',
    'documents.sqlite-wal',
    'documents.sqlite-shm',
    'sandbox.sqlite',
    'sandbox.sqlite-wal',
    'sandbox.sqlite-shm',
  ]
  for (const name of [...kept, 'events', 'report.json', 'report.html', 'status.json', 'demo.json'])
    await rm(join(dataDir, name), { recursive: true, force: true })
}

async function loadTruth(file: string): Promise<Map<string, string>> {
  const truth = new Map<string, string>()
  const Row = z.object({ record_id: z.string(), person: z.string() })
  for await (const row of createReadStream(file).pipe(parse({ columns: true }))) {
    const { record_id, person } = parseInput(Row, row, `${file} cannot be used`)
    truth.set(record_id, person)
  }
  return truth
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ConfigError(`${file} cannot be read: ${messageOf(err)}`, [], { cause: err })
  }
}
