import { join } from 'node:path'
import axios, { type AxiosAdapter } from 'axios'
import Database from 'libsql'
import { sandboxAdapter } from '../sandbox/in-process.js'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js'
import { parseScenario, type ScenarioInput } from '../sandbox/scenario.js'
import { VirtualTime } from '../sandbox/virtual-time.js'
import type { App } from '../src/app/compose.js'
import { createWecomClient } from '../src/adapters/wecom/client.js'
import type { QuotaStore } from '../src/adapters/wecom/transport/quota.js'
import { type Config, ServiceConfig } from '../src/config.js'
import { relationId } from '../src/domain/wecom/relation.js'
import { quietLog } from '../src/log.js'
import { hashKey } from '../src/random.js'
import { inParallel } from '../src/services/runtime/in-parallel.js'
import { type SyncResult, syncWecom } from '../src/services/wecom/sync-wecom.js'
import { elapsedMs, HOUR_MS, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'
import { openStand } from './stand.js'

/** 10:00 in the business time zone. */
const START = new Date('2026-06-01T02:00:00Z')
const SEED = 5
const SIZES: Record<Scale, { customers: number; members: number; wallCustomers: number }> = {
  full: { customers: 1_000_000, members: 500, wallCustomers: 100_000 },
  quick: { customers: 20_000, members: 50, wallCustomers: 20_000 },
  tiny: { customers: 2_000, members: 10, wallCustomers: 2_000 },
}
/** What the client is not told: calls of one API at once above which 45033, and what other apps use of the limits. */
const HIDDEN_WIDTH = 8
const OTHER_APPS_SHARE = 0.2
const LATENCY = { p50Ms: 200, p99Ms: 1_000 }
/** Page 90312. */
const LIMITS = [
  { calls: 10_000, windowMs: MINUTE_MS },
  { calls: 150_000, windowMs: HOUR_MS },
]
/** Promises of a full run; a small one is over before the width is known. */
const MOST_OF_BOUND = 1.25
const MOST_TOO_PARALLEL_RATIO = 0.01
const READERS = 16

/** A full sync: on a virtual clock against a platform that is slow, narrow and shared, and on the wall clock without limits. */
export const wecomSync: Benchmark = {
  name: 'wecom-sync',
  title: { zh: '企业微信全量同步', en: 'Full WeCom sync' },
  unit: { zh: '客户关系', en: 'relation' },
  baseline: '',
  async run(context) {
    return [await simulated(context), ...(await onTheWallClock(context))]
  },
}

async function simulated({ scale, dir, note }: BenchContext): Promise<CaseResult> {
  const { customers, members } = SIZES[scale]
  const time = new VirtualTime(START.getTime())
  note(`simulated: a world of ${customers} customers`)
  const world = await openWorld(join(dir, 'world.sqlite'), customers, members, time, {
    latency: LATENCY,
    limits: { defaultLanes: HIDDEN_WIDTH },
    otherApps: { share: OTHER_APPS_SHARE },
  })
  const { sandbox } = world
  const way = watch(sandbox, time)
  const app = await openStand(join(dir, 'simulated'), time, {
    wecom: wecomConfig(sandbox),
    pause: time.sleep,
    fsync: false, // what the disk costs is no part of simulated time
    wecomWay: { adapter: way.adapter, timeoutSignal: time.timeoutSignal },
  })
  try {
    const rssMiB: number[] = []
    let result: SyncResult | undefined
    const items = world.relations()
    return await compare(
      {
        name: `${customers} customers of ${members} members, simulated`,
        items,
        warmups: 0,
        rounds: 1,
        product: async () => {
          let told = 0
          result = await time.run(() =>
            syncWecom(app.deps, (relations) => {
              for (; told < Math.floor((relations / items) * 10); told++) {
                rssMiB.push(Math.round(process.memoryUsage.rss() / 2 ** 20))
                note(`simulated: ${relations} relations, ${rssMiB.at(-1)} MiB`)
              }
            }),
          )
        },
        figures: async () => {
          const tookMs = time.now().getTime() - START.getTime()
          const figures = { ...way.figures(tookMs), ...(await held(app, world, result!)) }
          const [early, late] = [rssMiB[1] ?? 0, Math.max(...rssMiB.slice(2))]
          return checked(scale, { ...figures, rssAtFifthMiB: early, rssMostAfterMiB: late, groups: result!.groups })
        },
      },
      note,
    )
  } finally {
    await app.close()
    await world.close()
  }
}

/** Without latency and limits, in one process and without sockets, so that it can be told what each side costs. */
async function onTheWallClock({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const { wallCustomers, members } = SIZES[scale]
  note(`wall clock: a world of ${wallCustomers} customers`)
  const world = await openWorld(join(dir, 'wall.sqlite'), wallCustomers, members, systemClock, {}, false)
  const { sandbox } = world
  const way = watch(sandbox, systemClock)
  const { corpId, app: credentials, url: baseUrl } = sandbox
  const client = createWecomClient({
    ...{ baseUrl, corpId, agentId: credentials.agentId, secret: credentials.secret },
    ...{ clock: systemClock, log: quietLog, quota: withoutLimits(), adapter: way.adapter },
  })
  const items = world.relations()
  let round = 0
  let app: App | undefined
  try {
    const plain = await compare(
      {
        name: 'client alone, no latency, no limits',
        items,
        warmups: 1,
        rounds: 3,
        prepare: async () => {
          way.reset()
        },
        product: async () => {
          let rows = 0
          await inParallel(await client.contacts.followUsers(), READERS, async (userId) => {
            for await (const page of client.contacts.rows([userId])) rows += page.length
          })
          if (rows !== items) throw new Error(`the client saw ${rows} of ${items} relations`)
        },
        figures: async () => ({ sandboxMs: way.sandboxMs() }),
      },
      note,
    )
    const whole = await compare(
      {
        name: 'sync into the mirror, no latency, no limits',
        items,
        warmups: 0,
        rounds: 3,
        prepare: async () => {
          await app?.close()
          app = await openStand(join(dir, `wall-${round++}`), systemClock, {
            wecom: wecomConfig(sandbox),
            wecomWay: { adapter: way.adapter, quota: withoutLimits() },
          })
          way.reset()
        },
        product: async () => {
          await syncWecom(app!.deps)
        },
        figures: async () => ({ sandboxMs: way.sandboxMs() }),
      },
      note,
    )
    return [plain, whole]
  } finally {
    client.close()
    await app?.close()
    await world.close()
  }
}

type World = { sandbox: Sandbox; relations(): number; fingerprint(): Fingerprint; close(): Promise<void> }

/** Nobody in it does anything, so that what is read can be held against what there is. */
async function openWorld(
  file: string,
  customers: number,
  members: number,
  clock: VirtualTime | typeof systemClock,
  platform: Pick<ScenarioInput, 'latency' | 'limits' | 'otherApps'>,
  limits = true,
): Promise<World> {
  const still = { orders: 0, edits: 0, groupJoins: 0, groupLeaves: 0, adds: 0, deletes: 0, deletedByMember: 0 }
  const scenario = parseScenario({
    population: {
      ...{ members, customers, perYear: still, ownSendsPerMonth: 0, absentRatio: 0 },
      groups: { perMember: 20, customerRatio: 0.3 },
    },
    corpTags: [{ name: '客户等级', tags: [{ name: '一般' }, { name: '重要' }, { name: '核心' }] }],
    ...platform,
  } satisfies ScenarioInput)
  const sandbox = await startSandbox({
    ...{ file, seed: SEED, startAt: START, scenario, limits },
    clock: clock instanceof VirtualTime ? clock : 'step',
  })
  const db = new Database(file)
  return {
    sandbox,
    relations: () => (db.prepare('SELECT count(*) AS n FROM relation').get() as { n: number }).n,
    fingerprint() {
      const print = emptyFingerprint()
      const rows = db.prepare('SELECT user_id, external_user_id FROM relation').iterate()
      for (const row of rows as Iterable<{ user_id: string; external_user_id: string }>)
        add(print, relationId(row.user_id, row.external_user_id))
      return print
    },
    close: async () => {
      db.close()
      await sandbox.close()
    },
  }
}

function wecomConfig({ url: baseUrl, corpId, app: { agentId, secret } }: Sandbox): Config['wecom'] {
  return ServiceConfig.shape.wecom.parse({ baseUrl, corpId, agentId, secret, reconcileAt: 'off' })
}

type Seen = { calls: number; answeredMs: number; tooParallel: number; tooOften: number; insideBlock: number }

/** Sees every call on its way: how long it took, what was answered, and whether it began inside a block that was known. */
function watch(sandbox: Sandbox, clock: { now(): Date }) {
  const apis = new Map<string, Seen>()
  const blockedUntilMs = new Map<string, number>()
  let sandboxMs = 0
  const inside = sandboxAdapter({
    handle(request) {
      const fromMs = elapsedMs()
      const answer = sandbox.handle(request) // answers before it first waits
      sandboxMs += elapsedMs() - fromMs
      return answer
    },
    sleep: (ms, signal) => sandbox.sleep(ms, signal),
  })
  const adapter: AxiosAdapter = async (config) => {
    const { pathname: path } = new URL(axios.getUri(config))
    const fromMs = clock.now().getTime()
    const seen = apis.get(path) ?? { calls: 0, answeredMs: 0, tooParallel: 0, tooOften: 0, insideBlock: 0 }
    apis.set(path, seen)
    seen.calls++
    if (fromMs < (blockedUntilMs.get(path) ?? 0)) seen.insideBlock++
    const response = await inside(config)
    const errcode = Number(/^\{"errcode":(-?\d+)/.exec(String(response.data))?.[1] ?? 0)
    const nowMs = clock.now().getTime()
    if (errcode === 45033) seen.tooParallel++
    else if (errcode === 45009) {
      seen.tooOften++
      blockedUntilMs.set(path, Math.max(blockedUntilMs.get(path) ?? 0, nowMs + MINUTE_MS))
    } else seen.answeredMs += nowMs - fromMs
    return response
  }
  return {
    adapter,
    sandboxMs: () => Math.round(sandboxMs),
    reset: () => (sandboxMs = 0),
    figures(tookMs: number): Record<string, number> {
      const all = [...apis.values()]
      const sum = (of: (seen: Seen) => number) => all.reduce((total, seen) => total + of(seen), 0)
      const boundMs = Math.max(...all.map(boundMsOf))
      return {
        simulatedS: Math.round(tookMs / SECOND_MS),
        boundS: Math.round(boundMs / SECOND_MS),
        ofBound: tookMs / boundMs,
        calls: sum((s) => s.calls),
        tooParallel: sum((s) => s.tooParallel),
        tooOften: sum((s) => s.tooOften),
        insideBlock: sum((s) => s.insideBlock),
        sandboxCpuS: Math.round(sandboxMs / SECOND_MS),
      }
    },
  }
}

/** No client could be faster: what the width allows, and what others leave of the limits. APIs have widths of their own. */
function boundMsOf({ calls, answeredMs, tooParallel, tooOften }: Seen): number {
  const windows = LIMITS.map(({ calls: most, windowMs }) => {
    const ours = most * (1 - OTHER_APPS_SHARE)
    return ((calls - tooParallel - tooOften) / ours - 1) * windowMs // the first window's at once
  })
  return Math.max(answeredMs / HIDDEN_WIDTH, ...windows)
}

/** Whether the mirror has what the world has, each relation once. */
async function held(app: App, world: World, { relations }: SyncResult): Promise<Record<string, number>> {
  const mirror = emptyFingerprint()
  for await (const batch of app.deps.docs.wecomRelations.scan({ state: 'active' }))
    for (const { _id } of batch) add(mirror, _id)
  const there = world.fingerprint()
  if (mirror.n === there.n && mirror.sum !== there.sum) throw new Error('the mirror has other relations than the world')
  return { missing: there.n - mirror.n, doubled: relations - mirror.n }
}

function checked(scale: Scale, figures: Record<string, number>): Record<string, number> {
  const { missing, doubled, insideBlock, ofBound, tooParallel, calls, rssAtFifthMiB, rssMostAfterMiB } = figures
  const broken = [
    ...(missing === 0 && doubled === 0 ? [] : [`${missing} relations missing, ${doubled} doubled`]),
    ...(insideBlock === 0 ? [] : [`${insideBlock} calls began inside a known block`]),
    ...(scale !== 'full' || ofBound! <= MOST_OF_BOUND ? [] : [`took ${ofBound} of what is possible`]),
    ...(scale !== 'full' || tooParallel! <= calls! * MOST_TOO_PARALLEL_RATIO ? [] : [`${tooParallel} times 45033`]),
    ...(scale !== 'full' || rssMostAfterMiB! <= rssAtFifthMiB! * 1.25 ? [] : [`memory grew to ${rssMostAfterMiB} MiB`]),
  ]
  if (broken.length > 0) throw new Error(`wecom-sync: ${broken.join('; ')} (${JSON.stringify(figures)})`)
  return figures
}

/** Equal for equal sets, in whatever order. */
type Fingerprint = { n: number; sum: bigint }
const emptyFingerprint = (): Fingerprint => ({ n: 0, sum: 0n })
function add(print: Fingerprint, id: string): void {
  print.n++
  print.sum += BigInt(`0x${hashKey(16, id)}`)
}

function withoutLimits(): QuotaStore {
  const lease = { id: '0', width: READERS, full: false, turn: 0 }
  return {
    acquire: async () => ({ kind: 'granted', lease }),
    release: async () => 0,
    close: async () => undefined,
  }
}
