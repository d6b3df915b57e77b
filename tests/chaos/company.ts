import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario, type ScenarioInput } from '../../sandbox/scenario.js'
import { type App, createApp } from '../../src/app/compose.js'
import { loadConfig } from '../../src/config.js'
import { UpstreamError } from '../../src/errors.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer } from '../../src/http/server.js'
import { type Log, quietLog } from '../../src/log.js'
import { intOf, unitOf } from '../../src/random.js'
import { earliestOf, live, workOff } from '../../src/play/live.js'
import type { Work } from '../../src/services/runtime/lanes.js'
import { syncWecom } from '../../src/services/wecom/sync-wecom.js'
import { DAY_MS, HOUR_MS, ManualClock, MINUTE_MS } from '../../src/time.js'
import { sized } from '../support/sized.js'
import { writeDefinitions } from './definitions.js'

export const START = new Date('2026-03-02T01:00:00Z') // Monday 09:00 in Shanghai
const MEMBERS = sized(8, 12)
const CUSTOMERS = sized(120, 180)
/** What the world does arrives gathered per this much virtual time. */
const TICK_MS = 30 * MINUTE_MS

/** A brand, its service and its WeCom in one process, on the sandbox's clock. */
export type Company = {
  sandbox: Sandbox
  app: App
  /** Messages that the service logged as errors or warnings, with how often. */
  said: Map<string, number>
  /** Lives on to `to`: the world plays, callbacks arrive, lanes work. */
  liveUntil(to: Date): Promise<void>
  /** Works off all that is due now. */
  settle(): Promise<void>
  close(): Promise<void>
}

export async function openCompany(seed: number, timeoutMs: number): Promise<Company> {
  const dir = await mkdtemp(join(tmpdir(), 'siyu-chaos-'))
  const closers: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })]
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  try {
    const sandbox = await startSandbox({
      file: ':memory:',
      seed,
      startAt: START,
      clock: 'step',
      scenario: parseScenario(scenarioOf(seed)),
    })
    closers.push(() => sandbox.close())
    const clock = new ManualClock(START)
    const said = new Map<string, number>()
    const note = (level: string) => (fact: string) =>
      said.set(`${level} ${fact}`, (said.get(`${level} ${fact}`) ?? 0) + 1)
    const log: Log = { ...quietLog, warn: note('warn'), error: note('error') }
    const file = join(dir, 'service.yaml')
    await writeFile(
      file,
      stringify({
        brand: { name: '示例' },
        dataDir: join(dir, 'data'),
        sending: { mode: 'live' },
        paths: await writeDefinitions(join(dir, 'brand')),
        linkBase: 'https://m.example.com',
        wecom: {
          baseUrl: sandbox.url,
          corpId: sandbox.corpId,
          agentId: sandbox.app.agentId,
          secret: sandbox.app.secret,
          callback: sandbox.app.callback,
        },
      }),
    )
    let broken: Error | undefined
    const app = await createApp({
      config: await loadConfig({ file, env: {} }),
      log,
      clock,
      pause: () => Promise.resolve(),
      wecomWay: { timeoutSignal: () => AbortSignal.timeout(timeoutMs) },
      fsync: false,
      hints: false,
      // A lane that was broken off is due as before and is run again, as the queue would do it.
      onLaneError: (err) => {
        if (err instanceof UpstreamError && err.retryable) note('lane')(err.upstreamCode)
        else broken ??= err instanceof Error ? err : new Error(String(err))
      },
    })
    closers.push(() => app.close())
    await app.queue.start()
    await app.publish()
    const server = createHttpServer({
      host: '127.0.0.1',
      port: 0,
      apiKeys: ['chaos-key-0123456789'],
      log,
      routes: [],
      publicRoutes: [],
      rawRoutes: app.callbackRoutes,
      health: () => Promise.resolve({ ready: true, parts: {} }),
      metrics: createMetrics(),
    })
    const { url } = await server.listen()
    closers.push(() => server.close())
    sandbox.setCallbackUrl(`${url}/wecom/callback`)

    const work = async ({ name }: Work): Promise<void> => {
      await app.queue.add(name, undefined, { key: name, attempts: 1 })
      await app.queue.idle()
      if (broken !== undefined) throw broken
    }
    return {
      sandbox,
      app,
      said,
      settle: async () => void (await workOff(app.deps, work)),
      close,
      liveUntil: (to) =>
        live(app.deps, {
          from: clock.now(),
          work,
          arrive: async (at) => {
            await sandbox.advanceTo(at)
            clock.set(at)
          },
          next: (at, later) => {
            if (at >= to) return undefined
            const times = [sandbox.nextAt(), earliestOf(later, ['process-batches'])].flatMap((t) =>
              t === undefined ? [] : [Math.ceil(t.getTime() / TICK_MS) * TICK_MS],
            )
            return new Date(Math.min(to.getTime(), Math.max(at.getTime() + TICK_MS, Math.min(...times))))
          },
        }),
    }
  } catch (err) {
    await close()
    throw err
  }
}

/** Guides of every diligence; customers who come before and during the ten days, some of whom leave. */
function scenarioOf(seed: number): ScenarioInput {
  const members = Array.from({ length: MEMBERS }, (_, i) => ({
    userId: `guide${String(i + 1).padStart(3, '0')}`,
    name: `导购 ${String(i + 1).padStart(3, '0')}`,
    diligence:
      i % 4 === 3
        ? { confirmAtOnce: 0.2, confirmLate: 0.3, never: 0.5 }
        : { confirmAtOnce: 0.7, confirmLate: 0.25, never: 0.05 },
  }))
  const contacts = Array.from({ length: CUSTOMERS }, (_, i) => {
    const owner = intOf(MEMBERS, seed, 'owner', i)
    const second = unitOf(seed, 'second', i) < 0.2 ? (owner + 1) % MEMBERS : owner
    const addedMs = START.getTime() + intOf(20 * 24, seed, 'added', i) * HOUR_MS - 12 * DAY_MS
    const leaves = unitOf(seed, 'leaves', i) < 0.15
    return {
      externalUserId: `wmcustomer${String(i + 1).padStart(5, '0')}`,
      unionId: `ou${String(i + 1).padStart(5, '0')}`,
      name: `顾客 ${String(i + 1).padStart(4, '0')}`,
      addedAt: new Date(addedMs),
      followUserIds: [...new Set([members[owner]!.userId, members[second]!.userId])],
      tagIds: unitOf(seed, 'tag', i) < 0.3 ? ['etVip'] : [],
      ...(leaves
        ? { deletedAt: new Date(Math.max(addedMs, START.getTime()) + (6 + intOf(100, seed, 'stay', i)) * HOUR_MS) }
        : {}),
    }
  })
  return {
    members,
    contacts,
    corpTags: [{ groupId: 'etLevel', name: '等级', tags: [{ tagId: 'etVip', name: '重要' }] }],
    habits: { readRatio: 0.8, replyRatio: 0.2, interestedRatio: 0.5, stopRatio: 0.05, deleteRatio: 0.01 },
  }
}

/** A sync that is broken off goes on where it was, the next time it is asked for. */
export async function syncWhole({ app, said }: Company): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await syncWecom(app.deps)
      return
    } catch (err) {
      if (!(err instanceof UpstreamError) || !err.retryable || tries === 20) throw err
      said.set('sync broken off', tries)
    }
  }
}

/** Ten days: a first full sync, then life. */
export async function liveTenDays(company: Company): Promise<void> {
  await syncWhole(company)
  await company.settle()
  await company.liveUntil(new Date(START.getTime() + 10 * DAY_MS))
}
