import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js'
import { parseScenario } from '../sandbox/scenario.js'
import { type App, createApp } from '../src/app/compose.js'
import { announceService } from '../src/app/running-service.js'
import { httpRoutes } from '../src/app/wire-http.js'
import { type Config, type Env, loadConfig, placedIn } from '../src/config.js'
import { armOf } from '../src/domain/experiments/arm.js'
import { type Journey, placeSteps } from '../src/domain/journeys/definition.js'
import { releaseAfter } from '../src/domain/touches/policy.js'
import { InvalidInputError, messageOf, type Problem } from '../src/errors.js'
import { openApiKeys } from '../src/http/api-key.js'
import { createMetrics } from '../src/http/metrics.js'
import { createHttpServer } from '../src/http/server.js'
import type { Log } from '../src/log.js'
import { packageRoot } from '../src/package-root.js'
import { secretHex } from '../src/random.js'
import { earliestOf, live, workOff } from '../src/play/live.js'
import { type LoadedDefinitions, loadDefinitions, textsOf } from '../src/services/definitions/load-definitions.js'
import { acceptRecords } from '../src/services/ingest/accept-records.js'
import { atOnce } from '../src/services/runtime/with-lease.js'
import { atTimeOfDay, type Clock, DAY_MS, elapsedMs, HOUR_MS, MINUTE_MS, SECOND_MS } from '../src/time.js'
import { nearest, said } from '../src/said.js'
import { firstEvents } from './first-events.js'
import { wecomOf } from './wecom-of.js'

/** Of whoever tries: nobody real, and no number that could be one. */
export const CUSTOMER = { externalUserId: 'wmTestCustomer001', memberId: 'TEST-001', name: '测试客户 001' }
const GUIDE = { userId: 'guide001', name: '导购 001' }
const SEED = 1
const TEN = 10 * 60
/** In which a message must have come, by the clock of the trial. */
const HORIZON_MS = 30 * DAY_MS
/** What people in the sandbox do within this time, they do at once: nobody wants to wait for a guide. */
const IMPATIENCE_MS = 30 * MINUTE_MS
const TICK_MS = 250

export type TrialOptions = {
  /** The brand's configuration; its stores and its WeCom are left alone. */
  configFile: string
  env: Env
  log: Log
  /** The one to enter; default: the one whose file was changed last. */
  journey?: string
  /** Of this machine. */
  clock: Clock
  /** Where the brand's paths begin: where the command was given. */
  folder: string
}

/** What happened, in the order in which it did; `at` by the clock of the trial. */
export type TrialFact = { at: Date; text: { zh: string; en: string } }

export type Trial = {
  config: Config
  /** Names everything that is wired: for `--config` of any other command. */
  configFile: string
  /** The page to watch by and to act on; with its key. */
  pageUrl: string
  serviceUrl: string
  /** `contacts`: it has a step by which a customer or her guide hears of it. */
  journey: { id: string; file: string; isExample: boolean; contacts: boolean }
  /** Her profile number, once she has one. */
  profileId(): Promise<number | undefined>
  /**
   * Lets her do what the journey begins with, and time pass, until a message of the journey is in her chat or a card about her
   * at her guide. Resolves to what came; `undefined` when nothing did within thirty days. What other journeys send is told, and
   * is not it.
   */
  first(signal: AbortSignal, onFact: (fact: TrialFact) => void): Promise<'message' | 'task' | undefined>
  /** Goes on at the pace of this machine's clock until the signal; whatever is done on the page is worked off at once. */
  goOn(signal: AbortSignal, onFact: (fact: TrialFact) => void): Promise<void>
  /** Ends it and leaves nothing behind. May be called twice. */
  close(): Promise<void>
}

/**
 * The brand's own definitions with a sandbox as WeCom, one guide who always presses send and one customer, on a clock of
 * their own that begins at ten in the morning. It lives in a folder that is gone afterwards.
 *
 * @throws {InvalidInputError} when the brand's files have problems, or there is no such journey
 */
export async function startTrial(options: TrialOptions): Promise<Trial> {
  const home = await mkdtemp(join(tmpdir(), 'siyu-try-'))
  const closers: (() => Promise<void>)[] = [() => rm(home, { recursive: true, force: true })]
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  try {
    return { ...(await open(options, home, closers)), close }
  } catch (err) {
    await close()
    throw err
  }
}

async function open(
  { configFile, env, log, journey: asked, clock, folder }: TrialOptions,
  home: string,
  closers: (() => Promise<void>)[],
): Promise<Omit<Trial, 'close'>> {
  const brand = placedIn(folder, await loadConfig({ file: configFile, env: withoutStores(env) }))
  const { paths, isExample } = await withJourney(brand.paths, home)
  const loaded = await loadDefinitions(paths, textsOf(brand))
  const { journey, file } = await chooseJourney(loaded, paths.journeys, asked)
  const { timeZone } = brand.brand
  const startAt = releaseAfter(loaded.policy, atTimeOfDay(clock.now(), TEN, timeZone), timeZone)

  const sandbox = await startSandbox({
    ...{ file: ':memory:', seed: SEED, startAt, clock: 'step', log },
    scenario: parseScenario({
      timeZone,
      members: [{ ...GUIDE, diligence: { confirmAtOnce: 1, confirmLate: 0, never: 0 }, workHours: ['00:00', '23:59'] }],
      contacts: [
        {
          externalUserId: CUSTOMER.externalUserId,
          name: CUSTOMER.name,
          addedAt: new Date(startAt.getTime() + SECOND_MS),
          followUserIds: [GUIDE.userId],
        },
      ],
      // What she answers is up to whoever tries, on the page.
      habits: { readRatio: 1, replyRatio: 0, wakingHours: ['00:00', '23:59'] },
    }),
  })
  closers.push(() => sandbox.close())
  const config = wiredConfig(brand, { paths, sandbox, dataDir: join(home, 'data'), journeys: loaded.journeyFiles })
  const app = await createApp({
    ...{ config, log, clock: sandbox, alone: true, fsync: false, hints: false },
    pause: () => Promise.resolve(),
    onLaneError: (err) => log.error('a lane failed', { cause: messageOf(err) }),
  })
  closers.push(() => app.close())
  await app.publish()
  await app.queue.start()
  const { url, key } = await serve(app, log, closers)
  sandbox.setCallbackUrl(`${url}/wecom/callback`)
  const wired = join(home, 'service.yaml')
  await writeFile(wired, stringify({ ...config, http: { apiKeys: [key] } }))
  const page = new URLSearchParams({ view: 'customers', customer: CUSTOMER.externalUserId, key: sandbox.controlKey })
  const play = new Play(app, sandbox, journey, loaded)
  return {
    config,
    configFile: wired,
    pageUrl: `${sandbox.url}/?${page.toString()}`,
    serviceUrl: url,
    journey: { id: journey.id, file, isExample, contacts: isHeardOf(journey) },
    profileId: () => play.profileId(),
    first: (signal, onFact) => play.first(signal, onFact),
    goOn: (signal, onFact) => play.goOn(signal, onFact),
  }
}

/** The addresses of real stores never reach a trial, and its WeCom needs none of the real one's secrets. */
function withoutStores(env: Env): Env {
  const { MONGODB_URI: _mongo, CLICKHOUSE_URL: _clickhouse, REDIS_URL: _redis, ...rest } = env
  const placeholder = Object.fromEntries(
    ['WECOM_CORP_ID', 'WECOM_SECRET', 'WECOM_CALLBACK_TOKEN', 'WECOM_CONTACT_SYNC_SECRET'].map((name) => [name, 'try']),
  )
  return { ...placeholder, WECOM_AGENT_ID: '1', WECOM_CALLBACK_AES_KEY: 'A'.repeat(43), ...rest }
}

/** The brand's journeys; where it has none yet, the example in a folder of the trial. */
async function withJourney(
  paths: Config['paths'],
  home: string,
): Promise<{ paths: Config['paths']; isExample: boolean }> {
  const own = await readdir(paths.journeys).catch(() => []) // a folder that is missing is told of by the check
  if (own.some((name) => /\.ya?ml$/.test(name))) return { paths, isExample: false }
  const journeys = join(home, 'journeys')
  await mkdir(journeys)
  const { contents } = await loadDefinitions({ ...paths, journeys })
  const text = await readFile(exampleFile(), 'utf8')
  // It says what the brand that `siyu init` makes has; any other brand says something of its own.
  const says = contents.has('thanks') ? undefined : [...contents.values()].find((c) => c.coupon === undefined)?.id
  await writeFile(
    join(journeys, 'first-journey.yaml'),
    says === undefined ? text : text.replace('content: thanks', `content: ${says}`),
  )
  return { paths: { ...paths, journeys }, isExample: true }
}

function isHeardOf({ steps }: Journey): boolean {
  return placeSteps(steps).some(({ step }) => 'send' in step || 'task' in step)
}

export function exampleFile(): string {
  return join(packageRoot(), 'examples', 'first-journey.yaml')
}

async function chooseJourney(
  { journeyFiles }: LoadedDefinitions,
  folder: string,
  asked: string | undefined,
): Promise<{ journey: Journey; file: string }> {
  const files = await Promise.all(
    journeyFiles.map(async ({ journey }) => {
      const names = (await readdir(folder)).filter((name) => name.replace(/\.ya?ml$/, '') === journey.id)
      const file = join(folder, names[0] ?? `${journey.id}.yaml`)
      return { journey, file, changedMs: (await stat(file)).mtimeMs }
    }),
  )
  const latest = files.sort((a, b) => b.changedMs - a.changedMs || (a.journey.id < b.journey.id ? -1 : 1))
  const found = asked === undefined ? latest[0] : files.find(({ journey }) => journey.id === asked)
  if (found !== undefined) return found
  const ids = files.map(({ journey }) => journey.id)
  const near = asked === undefined ? undefined : nearest(asked, ids)
  const problem: Problem = {
    path: '--journey',
    message: said(`没有旅程 "${asked ?? ''}"`, `there is no journey "${asked ?? ''}"`),
    hint:
      near === undefined
        ? said(`有：${ids.join('、')}`, `there are: ${ids.join(', ')}`)
        : said(`是不是 "${near}"？`, `did you mean "${near}"?`),
  }
  throw new InvalidInputError('--journey', [problem])
}

function wiredConfig(
  brand: Config,
  trial: {
    paths: Config['paths']
    sandbox: Sandbox
    dataDir: string
    journeys: LoadedDefinitions['journeyFiles']
  },
): Config {
  const { paths, sandbox, dataDir, journeys } = trial
  const { wechaty: _bot, ...own } = brand
  return {
    ...own,
    paths,
    dataDir,
    documents: { kind: 'sqlite' },
    events: { kind: 'chdb' },
    jobs: { ...brand.jobs, kind: 'in-process' },
    http: { host: '127.0.0.1', port: 0, apiKeys: [] },
    sending: { mode: 'allow_list', allowList: [CUSTOMER.externalUserId] },
    splitSeed: seedOfTreated(brand.splitSeed, journeys),
    sources: [],
    wecom: wecomOf(sandbox, 'on'),
  }
}

/** A seed by which she is in no journey's control group: there she would get nothing. */
function seedOfTreated(from: number, journeys: LoadedDefinitions['journeyFiles']): number {
  const anchor = `external_userid:${CUSTOMER.externalUserId}`
  const isTreated = (seed: number) =>
    journeys.every(({ journey: { id, holdout } }) => armOf(seed, id, anchor, holdout) === 'treated')
  let seed = from
  while (!isTreated(seed)) seed++
  return seed
}

async function serve(app: App, log: Log, closers: (() => Promise<void>)[]): Promise<{ url: string; key: string }> {
  const { apiKeys } = await openApiKeys([], app.config.dataDir)
  // Nobody else works on these stores, so an operation need not wait for its turn.
  const localKey = secretHex(24)
  const routes = httpRoutes({ ...app, operations: { ...app.operations, alone: atOnce } }, log)
  const server = createHttpServer({
    ...{ host: '127.0.0.1', port: 0, apiKeys, localKey, log, ...routes },
    health: () => Promise.resolve({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  const { url } = await server.listen()
  closers.push(() => server.close())
  closers.push(await announceService(app.config.dataDir, url, localKey))
  return { url, key: apiKeys[0]! }
}

/** Time, and what happens in it. */
class Play {
  private seenMessages = 0
  private seenPurchases = 0
  private readonly seenRuns = new Map<string, string>()

  constructor(
    private readonly app: App,
    private readonly sandbox: Sandbox,
    private readonly journey: Journey,
    private readonly loaded: LoadedDefinitions,
  ) {}

  async profileId(): Promise<number | undefined> {
    const found = await this.app.deps.docs.identifiers.get(`external_userid:${CUSTOMER.externalUserId}`)
    return found?.profileId
  }

  async first(signal: AbortSignal, onFact: (fact: TrialFact) => void): Promise<'message' | 'task' | undefined> {
    const { sandbox, app } = this
    const endMs = sandbox.now().getTime() + HORIZON_MS
    let [isIn, came] = [false, undefined as 'message' | 'task' | undefined]
    await live(app.deps, {
      from: new Date(sandbox.now().getTime() + SECOND_MS),
      signal,
      arrive: (at) => this.arrive(at),
      work: ({ name }) => this.work(name),
      next: async (at, later) => {
        came = await this.look(onFact)
        if (came !== undefined) return undefined
        if (!isIn && (await this.profileId()) !== undefined) {
          isIn = true
          await this.letHerDo(at, onFact)
          return new Date(at.getTime() + SECOND_MS)
        }
        const next = earliest(earliestOf(later), sandbox.nextAt())
        if (next === undefined || next.getTime() > endMs) return undefined
        return new Date(Math.max(next.getTime(), at.getTime() + 1))
      },
    })
    return came
  }

  async goOn(signal: AbortSignal, onFact: (fact: TrialFact) => void): Promise<void> {
    const { sandbox, app } = this
    let sinceMs = elapsedMs()
    while (!signal.aborted) {
      await sandbox.sleep(TICK_MS, signal)
      const passedMs = elapsedMs() - sinceMs
      sinceMs += passedMs
      const nowMs = sandbox.now().getTime() + Math.round(passedMs)
      const soonMs = sandbox.nextAt()?.getTime() ?? Infinity
      await this.arrive(new Date(soonMs <= nowMs + IMPATIENCE_MS ? Math.max(nowMs, soonMs) : nowMs))
      await workOff(app.deps, ({ name }) => this.work(name))
      await this.look(onFact)
    }
  }

  private async arrive(at: Date): Promise<void> {
    await this.sandbox.advanceTo(at)
    const bought = this.sandbox.purchases(this.seenPurchases)
    this.seenPurchases = bought.at(-1)?.seq ?? this.seenPurchases
    for (const { orderNo, at: boughtAt, externalUserId, amountMinor } of bought)
      await this.accept(orderNo, externalUserId, [
        { id: `try:${orderNo}`, name: 'order_paid', occurredAt: boughtAt, amountMinor, properties: { orderNo } },
      ])
  }

  private async work(name: string): Promise<void> {
    await this.app.queue.add(name, undefined, { key: name, attempts: 1 })
    await this.app.queue.idle()
  }

  /** What the journey begins with. */
  private async letHerDo(at: Date, onFact: (fact: TrialFact) => void): Promise<void> {
    const events = firstEvents(this.journey, this.loaded)
    for (const [n, { name, agoMs, properties }] of events.entries()) {
      const { amountMinor, ...rest } = properties
      const occurredAt = new Date(at.getTime() - agoMs)
      await this.accept(`first:${n}`, CUSTOMER.externalUserId, [
        { id: `try:first:${n}`, name, occurredAt, amountMinor: Number(amountMinor), properties: rest },
      ])
      const ago = agoMs === 0 ? '' : ` −${Math.round(agoMs / HOUR_MS)} h`
      onFact({
        at,
        text: {
          zh: `${CUSTOMER.name} 发生事件 ${name}${ago}`,
          en: `event ${name}${ago} of ${CUSTOMER.externalUserId}`,
        },
      })
    }
  }

  private async accept(
    key: string,
    externalUserId: string,
    events: Parameters<typeof acceptRecords>[2][number]['events'],
  ): Promise<void> {
    const known = new Set(this.loaded.identity.identifiers.map(({ type }) => type))
    const isHers = externalUserId === CUSTOMER.externalUserId && known.has('member_id')
    await acceptRecords(this.app.deps, `try:${key}`, [
      {
        ref: `try:${key}`,
        source: 'try',
        observedAt: this.sandbox.now(),
        identifiers: [
          { type: 'external_userid', value: externalUserId },
          ...(isHers ? [{ type: 'member_id', value: CUSTOMER.memberId }] : []),
        ],
        traits: {},
        events,
      },
    ])
  }

  /** Tells what is new. @returns what of the journey has reached her, or her guide */
  private async look(onFact: (fact: TrialFact) => void): Promise<'message' | 'task' | undefined> {
    const { sandbox, app, journey } = this
    const at = sandbox.now()
    for (const run of await app.deps.docs.runs.find({})) {
      const state = run.outcome ?? run.state
      if (this.seenRuns.get(run._id) === state) continue
      const isNew = !this.seenRuns.has(run._id)
      this.seenRuns.set(run._id, state)
      if (isNew)
        onFact({ at: run.enteredAt, text: { zh: `进入旅程 ${run.journeyId}`, en: `entered ${run.journeyId}` } })
      if (run.outcome === 'exited')
        onFact({ at, text: { zh: `离开旅程 ${run.journeyId}`, en: `left ${run.journeyId}` } })
    }
    const messages = sandbox.log(this.seenMessages)
    this.seenMessages += messages.length
    let came: 'message' | undefined
    for (const { kind, msgid, text, link, sentAt, externalUserId } of messages) {
      const shown = link === undefined ? text : `${text} → ${link.title} ${link.url}`
      const journeys = await this.journeysOf(msgid)
      const other = journeys.length > 0 && !journeys.includes(journey.id) ? journeys.join(', ') : undefined
      const zh = kind === 'welcome' ? '欢迎语' : `${GUIDE.name} 发来${other === undefined ? '' : `（旅程 ${other}）`}`
      const en = kind === 'welcome' ? 'greeting' : `message${other === undefined ? '' : ` (of ${other})`}`
      onFact({ at: sentAt, text: { zh: `${zh}：${shown}`, en: `${en}: ${shown}` } })
      if (externalUserId === CUSTOMER.externalUserId && journeys.includes(journey.id)) came = 'message'
    }
    if (came !== undefined) return came
    const [task] = await app.deps.docs.tasks.find({ state: { $ne: 'open' } })
    const touches = task === undefined ? [] : await app.deps.docs.touches.getMany(task.touchIds)
    return touches.some((t) => t.journeyId === journey.id && t.state === 'delivered') ? 'task' : undefined
  }

  /** Whose mass message it is; nobody's for a greeting. */
  private async journeysOf(msgid: string): Promise<string[]> {
    const dispatch = await this.app.deps.docs.dispatches.findOne({ remoteId: msgid })
    const touches = await this.app.deps.docs.touches.getMany(dispatch?.recipients.map((r) => r.touchId) ?? [])
    return [...new Set(touches.map((t) => t.journeyId))]
  }
}

function earliest(...instants: (Date | undefined)[]): Date | undefined {
  const known = instants.flatMap((at) => (at === undefined ? [] : [at.getTime()]))
  return known.length === 0 ? undefined : new Date(Math.min(...known))
}
