import { bilingual, said } from '../said.js'
import { createApp } from './compose.js'
import { type Config, type Env, loadConfig } from '../config.js'
import { ConfigError } from '../errors.js'
import { openApiKeys } from '../http/api-key.js'
import { createMetrics } from '../http/metrics.js'
import { createHttpServer, type Health, type HttpServerOptions } from '../http/server.js'
import { measureService, measureWecomCalls } from '../http/service-metrics.js'
import { startWaking } from '../jobs/wake.js'
import { watchPublished } from '../jobs/watch-published.js'
import { jsonLog, type Log } from '../log.js'
import { secretHex } from '../random.js'
import { SECOND_MS } from '../time.js'
import { type ProcessRole, ROLES } from './process-roles.js'
import { diskSpace } from './disk-space.js'
import { listStillLanes } from '../services/runtime/lane-progress.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { announceService, isEmbedded } from './running-service.js'
import { takeOverFiles } from './take-over-files.js'
import { httpRoutes } from './wire-http.js'

export type ServeCommand = { config: string; role: readonly ProcessRole[]; port?: number }

const PING_MS = 2 * SECOND_MS

/** `siyu serve`: runs the given roles until `stopped`, then takes nothing new, lets running work end and closes the stores. */
export async function runService(command: ServeCommand, env: Env, stopped: AbortSignal): Promise<void> {
  const configured = await loadConfig({ file: command.config, env })
  const config =
    command.port === undefined ? configured : { ...configured, http: { ...configured.http, port: command.port } }
  checkRoles(command.role, config)
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const log = jsonLog((line) => process.stdout.write(`${line}\n`))
  const closers: (() => Promise<void>)[] = []
  try {
    await startService({ roles: command.role, config, log, say, closers })
    if (!stopped.aborted) {
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
    say('正在停止：不再接新请求，等手上的做完 · stopping: nothing new is taken, running work ends')
  } finally {
    for (const close of closers.reverse()) await close()
  }
  say('已停止 · stopped')
}

type Starting = {
  roles: readonly ProcessRole[]
  config: Config
  log: Log
  say: (line: string) => void
  /** Filled in the order of opening. */
  closers: (() => Promise<void>)[]
}

async function startService({ roles, config, log, say, closers }: Starting): Promise<void> {
  const { host, port } = config.http
  await checkPort({ host, port, log })
  const app = await createApp({ config, log })
  closers.push(() => app.close())
  const { deps } = app
  await takeOverFiles(app)

  const { apiKeys, file: keyFile } = await openApiKeys(config.http.apiKeys, config.dataDir)
  // Commands on this machine need no key of their own: who may read the data directory may ask the service that holds it.
  const localKey = secretHex(24)
  const metrics = createMetrics()
  measureService(metrics, deps, app)
  measureWecomCalls(metrics, app.wecomStats)
  const isApi = roles.includes('api')
  const server = createHttpServer({
    host,
    port,
    apiKeys,
    localKey,
    log,
    ...(isApi ? httpRoutes(app, log) : { routes: [], publicRoutes: [] }),
    health: () =>
      checkHealth(
        {
          documents: app.documents,
          events: deps.events,
          jobs: app.queue,
          ...(isEmbedded(config) && { disk: diskSpace(config.dataDir) }),
        },
        deps,
      ),
    metrics,
  })
  const { url } = await server.listen()
  closers.push(() => server.close())
  if (isApi && isEmbedded(config)) closers.push(await announceService(config.dataDir, url, localKey))
  const watch = watchPublished(() => app.follow(), log)
  closers.push(() => watch.stop())
  if (roles.includes('scheduler')) await app.applySplit()
  if (roles.includes('worker')) await app.queue.start()
  // One account signs in once: of several processes the one that schedules has the bot.
  const bot = roles.includes('scheduler') ? await app.startBot() : undefined
  if (bot !== undefined) closers.push(() => bot.close())
  if (roles.includes('scheduler')) {
    const waking = startWaking(app.queue, deps, { log, split: app.split })
    closers.push(() => waking.stop())
  }
  log.info('service started', { url, roles: roles.join(',') })
  const stores = [config.documents.kind, config.events.kind, config.jobs.kind].join(', ')
  const words = bilingual(config.brand.locale)
  const sending = {
    off: words('全停', 'nothing is sent'),
    dry: words('演练，只记账', 'ledger only'),
    allow_list: words('只发白名单', 'allow-list only'),
    live: words('正式发送', 'live'),
  }
  const lines: [string, string][] = [
    [words('数据', 'data'), `${config.dataDir} (${stores})`],
    [
      words('密钥', 'API key'),
      keyFile ?? words('http.apiKeys（配置文件或环境变量）', 'http.apiKeys (configuration or environment)'),
    ],
    [words('旅程', 'journeys'), [...deps.definitions.current.journeys.keys()].join(', ') || words('无', 'none')],
    [words('企业微信', 'WeCom'), config.wecom?.baseUrl ?? words('未配置', 'not configured')],
    [words('发送', 'sending'), sending[config.sending.mode]],
    [words('健康', 'health'), `${url}/healthz  ${url}/readyz  ${url}/metrics`],
  ]
  say(`${words('siyu 已启动', 'siyu is running at')} ${url} (${roles.join(', ')})`)
  for (const [name, value] of lines) say(`  ${name}  ${value}`)
  say(`  ${words('按 Ctrl-C 停止', 'press Ctrl-C to stop')}`)
}

/** Several processes need stores that several processes can share. */
function checkRoles(roles: readonly ProcessRole[], config: Config): void {
  if (ROLES.every((role) => roles.includes(role))) return
  const embedded = [
    { path: 'documents', kind: config.documents.kind, service: 'mongo', variable: 'MONGODB_URI' },
    { path: 'events', kind: config.events.kind, service: 'clickhouse', variable: 'CLICKHOUSE_URL' },
    { path: 'jobs', kind: config.jobs.kind, service: 'bull', variable: 'REDIS_URL' },
  ].filter(({ kind, service }) => kind !== service)
  if (embedded.length === 0) return
  throw new ConfigError(
    said(
      `--role ${roles.join(',')}：拆分角色需要可共享的存储`,
      'roles can be split only over stores that processes share',
    ),
    embedded.map(({ path, kind, service, variable }) => ({
      path,
      message: said(`现在是 ${kind}`, `it is ${kind} now`),
      hint: said(`设置 ${variable}（${service}），或不写 --role`, `set ${variable} (${service}), or leave out --role`),
    })),
  )
}

/** Found out before anything is opened, so that a second start changes nothing. */
async function checkPort({ host, port, log }: Pick<HttpServerOptions, 'host' | 'port' | 'log'>): Promise<void> {
  const health = () => Promise.resolve({ ready: false, parts: {} })
  const probe = createHttpServer({
    host,
    port,
    log,
    apiKeys: [],
    routes: [],
    publicRoutes: [],
    health,
    metrics: createMetrics(),
  })
  await probe.listen()
  await probe.close()
}

/** Ready is who can take records: a lane that stands still is said, and does not turn senders away. */
async function checkHealth(
  stores: Readonly<Record<string, { ping(): Promise<void> }>>,
  deps: Pick<ServiceDeps, 'docs' | 'clock'>,
): Promise<Health> {
  const states = await Promise.all(
    Object.entries(stores).map(async ([name, part]) => [name, (await answers(part)) ? 'ok' : 'down'] as const),
  )
  const ready = states.every(([, state]) => state === 'ok')
  const isStill = ready && (await listStillLanes(deps)).length > 0
  return { ready, parts: { ...Object.fromEntries(states), ...(ready && { work: isStill ? 'still' : 'ok' }) } }
}

async function answers(part: { ping(): Promise<void> }): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), PING_MS)))
  try {
    return await Promise.race([part.ping().then(() => true), late])
  } catch {
    return false // who asks is told that it is down; why is in the log of those who use it
  } finally {
    clearTimeout(timer)
  }
}
