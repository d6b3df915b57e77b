import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import { said, sentencesOf } from './said.js'
import { salvage, TimeOfDay } from './parse.js'
import { ConfigError, InvalidInputError, messageOf, type Problem } from './errors.js'
import { DEFAULT_CONCURRENCY, type Group } from './ports/job-queue.js'
import { BUCKETS } from './stored/buckets.js'
import { isTimeZone } from './time.js'
import { parseYaml, readYaml, type YamlFile } from './yaml-file.js'

/** Environment variables, handed in by `main.ts`. An empty one counts as not set. */
export type Env = Readonly<Record<string, string | undefined>>

const isMongoUrl = (text: string): boolean => /^mongodb(\+srv)?:\/\/[^\s/]+/.test(text)
const isRedisUrl = (text: string): boolean => /^rediss?:$/.test(protocolOf(text))
const isHttpUrl = (text: string): boolean => /^https?:$/.test(protocolOf(text))

const MONGO_URL = said(
  '要写 MongoDB 地址，如 mongodb://127.0.0.1:27017',
  'must be a MongoDB URL, e.g. mongodb://127.0.0.1:27017',
)
const REDIS_URL = said('要写 Redis 地址，如 redis://127.0.0.1:6379', 'must be a Redis URL, e.g. redis://127.0.0.1:6379')
const HTTP_URL = said(
  '要写 http(s) 地址，如 http://127.0.0.1:8123',
  'must be an http(s) URL, e.g. http://127.0.0.1:8123',
)

// `refine` rather than `regex`: editors check files by the JSON Schema, where "${NAME}" has to pass.
const MongoUrl = z.string().refine(isMongoUrl, MONGO_URL)
const RedisUrl = z.string().refine(isRedisUrl, REDIS_URL)
const HttpUrl = z.string().refine(isHttpUrl, HTTP_URL)

/** An integer, also as text so that it can come from the environment. */
function integer(min: number, max: number) {
  const inRange = (n: number): boolean => Number.isInteger(n) && n >= min && n <= max
  return z
    .union([z.number(), z.string()])
    .refine(
      (v) => v !== '' && inRange(Number(v)),
      said(`要写 ${min} 到 ${max} 的整数`, `must be a whole number from ${min} to ${max}`),
    )
    .transform(Number)
}

/** Part of the names of databases, collections and keys. */
const StoreName = z
  .string()
  .max(40)
  .refine((text) => /^[A-Za-z0-9_-]+$/.test(text), said('只能有字母、数字、_ 和 -', 'letters, digits, _ and - only'))

const Brand = z.strictObject({
  name: z.string().min(1).describe(said('品牌名，出现在报告和页面上。', 'Brand name, shown in reports and pages.')),
  currency: z
    .string()
    .refine(
      (code) => Intl.supportedValuesOf('currency').includes(code),
      said('要写 ISO 4217 的大写代码，如 CNY', 'must be an ISO 4217 code in capitals, e.g. CNY'),
    )
    .default('CNY')
    .describe(
      said(
        '记账币种（ISO 4217），金额都是它的最小单位。',
        'Currency of all amounts, ISO 4217; amounts are in its minor unit.',
      ),
    ),
  timeZone: z
    .string()
    .refine(isTimeZone, said('要写 IANA 时区，如 Asia/Shanghai', 'must be an IANA time zone, e.g. Asia/Shanghai'))
    .default('Asia/Shanghai')
    .describe(
      said(
        '业务时区：静默时段、日历窗口、报表都按它。',
        'Business time zone of quiet hours, calendar windows and reports.',
      ),
    ),
  locale: z.enum(['zh', 'en']).default('zh').describe(said('报告和页面的语言。', 'Language of reports and pages.')),
})

const Http = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe(
      said('监听地址，默认只有本机能访问。', 'Address to listen on; by default only this machine can reach it.'),
    ),
  port: integer(0, 65_535)
    .default(8080)
    .describe(said('监听端口，0 为任选空闲端口。', 'Port to listen on; 0 picks a free one.')),
  apiKeys: z
    .array(
      z
        .string()
        .refine(
          (key) => key === '' || key.length >= 16,
          said('密钥至少 16 个字符', 'an API key has at least 16 characters'),
        ),
    )
    .default([])
    .transform((keys) => keys.filter((key) => key !== ''))
    .describe(
      '调用接口的密钥，可有多个以便轮换；空的不算。都没有时首次启动自动生成，存在数据目录的 api-key 文件里。 ' +
        'Keys that callers send; several allow rotation, empty ones do not count. With none the service makes one at first start and keeps it in the file api-key of the data directory.',
    ),
})

const Documents = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('sqlite').describe(said('数据目录里的 SQLite 文件。', 'A SQLite file in the data directory.')),
    }),
    z.strictObject({
      kind: z.literal('mongo').describe(said('MongoDB 服务。', 'A MongoDB service.')),
      url: MongoUrl.describe(said('MongoDB 连接串。', 'MongoDB URL: one server, replica set or sharded cluster.')),
      database: StoreName.default('siyu').describe(said('数据库名。', 'Database name.')),
      prefix: StoreName.optional().describe(said('集合名前缀，可不写。', 'Prefix of collection names, optional.')),
    }),
  ])
  .describe(said('现在的状态存哪里：档案、标签、旅程、触达。', 'Where documents are kept: what is true now.'))

const Events = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('chdb').describe(said('本进程内的 chDB。', 'chDB inside this process.')) }),
    z.strictObject({
      kind: z.literal('clickhouse').describe(said('ClickHouse 服务。', 'A ClickHouse service.')),
      url: HttpUrl.describe(
        said('ClickHouse 的 HTTP 地址，可含用户名和密码。', 'HTTP address of ClickHouse, may hold user and password.'),
      ),
      database: StoreName.default('siyu').describe(said('数据库名。', 'Database name.')),
      cluster: StoreName.optional().describe(
        said('集群名，多节点时填。', 'Cluster name, when there are several nodes.'),
      ),
    }),
  ])
  .describe(said('发生过的事存哪里：事件、订单、标签变化。', 'Where events are kept: what happened.'))

const atATime = (group: Group, what: string) => integer(1, 64).default(DEFAULT_CONCURRENCY[group]).describe(what)

const HowJobsRun = {
  shards: integer(1, BUCKETS)
    .default(1)
    .describe(
      said(
        '旅程按客户、发送与结果按导购分成几份，由多个 worker 分担；一个进程时不必分。',
        'Parts into which journeys (by customer), sends and results (by guide) are split among workers; one process needs none.',
      ),
    ),
  concurrency: z
    .strictObject({
      journeys: atATime('journeys', said('旅程。', 'Journeys.')),
      send: atATime('send', said('放行、发送、回执。', 'Releases, sends, results.')),
      wecom: atATime(
        'wecom',
        said('企业微信：欢迎语、回调、对账、打标签。', 'WeCom: welcomes, callbacks, reconciliation, tags.'),
      ),
    })
    .prefault({})
    .describe(
      said(
        '每个进程里各组同时做几件；各组互不等待；收数据与重算标签各一件。',
        'Jobs of each group at a time in one process; groups never wait for each other; ingest and refresh do one.',
      ),
    ),
}

const Jobs = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('in-process').describe(said('在本进程内排队。', 'A queue inside this process.')),
      ...HowJobsRun,
    }),
    z.strictObject({
      kind: z.literal('bull').describe(said('Redis 上的 Bull 队列。', 'Bull on Redis.')),
      url: RedisUrl.describe(said('Redis 连接串。', 'Redis URL.')),
      prefix: StoreName.default('siyu').describe(said('Redis 键前缀。', 'Prefix of Redis keys.')),
      ...HowJobsRun,
    }),
  ])
  .describe(said('后台任务在哪里排队。', 'Where background jobs queue.'))

const Wecom = z.strictObject({
  baseUrl: HttpUrl.default('https://qyapi.weixin.qq.com').describe(
    said('企业微信接口地址；用本地沙箱时填它的地址。', 'Address of the WeCom API, or of the local sandbox.'),
  ),
  corpId: z.string().min(1).describe(said('企业 ID（我的企业 → 企业信息）。', 'Corp id.')),
  agentId: integer(1, 2_147_483_647).describe(said('自建应用的 AgentId。', 'AgentId of the self-built app.')),
  secret: z
    .string()
    .min(1)
    .describe(said('自建应用的 Secret，请用 ${WECOM_SECRET}。', 'Secret of the app; write ${WECOM_SECRET}.')),
  callback: z
    .strictObject({
      token: z.string().min(1).describe(said('接收消息服务器配置里的 Token。', 'Token of the callback settings.')),
      encodingAesKey: z
        .string()
        .refine(
          (key) => /^[A-Za-z0-9]{43}$/.test(key),
          said('要写 EncodingAESKey 的 43 位字母和数字', 'must be the 43 letters and digits of EncodingAESKey'),
        )
        .describe(
          said(
            '接收消息服务器配置里的 EncodingAESKey，43 位。',
            'EncodingAESKey of the callback settings, 43 characters.',
          ),
        ),
      url: HttpUrl.optional().describe(
        said(
          '企业微信访问本服务回调的公网地址，siyu doctor 用它自查。',
          'Where WeCom reaches this callback from outside; siyu doctor tries it.',
        ),
      ),
    })
    .optional()
    .describe(
      said('接收回调（按钮、好友变更）所需，不填则收不到。', 'Needed to receive callbacks (buttons, contact changes).'),
    ),
  contactSyncSecret: z
    .string()
    .min(1)
    .optional()
    .describe(
      said(
        '通讯录同步助手的 Secret，只用来列出全部成员 id。',
        'Secret of the contact-sync assistant; only lists every member id.',
      ),
    ),
  reconcileAt: z
    .union([z.literal('off'), TimeOfDay])
    .default('04:00')
    .describe(
      said(
        '每天几点与企业微信对账（业务时区），补上回调漏掉的变更；off 不对账。',
        'Time of day at which what callbacks missed is found; off never.',
      ),
    ),
  sidebar: z
    .strictObject({
      url: HttpUrl.describe(
        said(
          '导购的企业微信能打开的本服务地址，域名要设为应用的可信域名，如 https://siyu.example.com。',
          'Address of this service as guides reach it; its domain is trusted by the app.',
        ),
      ),
    })
    .optional()
    .describe(
      said(
        '聊天侧边栏：客户卡片、任务、话术；不填则不开。',
        'The page beside chats: customer card, tasks, words; optional.',
      ),
    ),
  lostNotice: z
    .strictObject({
      guide: z.boolean().default(false).describe(said('告诉被删除的导购。', 'Tell the guide who was deleted.')),
      userIds: z.array(z.string().min(1)).default([]).describe(said('还告诉这些成员。', 'Tell these members too.')),
    })
    .prefault({})
    .describe(
      said('客户删除导购时用应用消息通知谁。', 'Who is told, by an app message, that a customer has deleted a guide.'),
    ),
  statisticsAt: z
    .union([z.literal('off'), TimeOfDay])
    .default('09:00')
    .describe(
      said(
        '每天几点拉取企业微信的成员和客户群统计（上海时间）；off 不拉。',
        'Time of day (Shanghai) at which figures of members and groups are pulled; off never.',
      ),
    ),
  writeback: z
    .enum(['on', 'off', 'dry'])
    .default('on')
    .describe(
      '带 writeback 的标签是否写回企业微信：on 写；dry 只记录；off 不写。sending.mode 为 dry 时只记录，为 allow_list 时只写白名单。 ' +
        'Whether tags marked writeback are pushed: on, dry (logged only), off. With sending.mode dry they are only logged, with allow_list only its customers are written to.',
    ),
})

const Ingest = z.strictObject({
  aheadMinutes: integer(0, 1440)
    .default(5)
    .describe(
      said(
        '来的数据里，时间比本机时钟快多少分钟以内按“现在”算；再快的那条被拒绝并说明。',
        'By how many minutes a time that is sent may lie ahead of our clock: it counts as now; further ahead the record is refused, and said.',
      ),
    ),
})

const Sending = z.strictObject({
  mode: z
    .enum(['off', 'dry', 'allow_list', 'live'])
    .default('allow_list')
    .describe(
      said(
        'off 全停；dry 只记账不发；allow_list 只发白名单；live 正式发。',
        'off stops every send; dry writes the ledger and sends nothing; allow_list reaches only allowList; live reaches everyone.',
      ),
    ),
  allowList: z
    .array(z.string().min(1))
    .default([])
    .describe(said('白名单：external_userid 或会员号。', 'External user ids or member ids that allow_list reaches.')),
})

const Wechaty = z.strictObject({
  module: z
    .string()
    .min(1)
    .default('wechaty')
    .describe(said('机器人软件包，需自行安装。', 'Package of the bot, which you install: wechaty or a fork.')),
  puppet: z
    .string()
    .min(1)
    .describe(
      said('puppet 软件包，需自行安装，如 wechaty-puppet-service。', 'Package of the puppet, which you install.'),
    ),
  puppetOptions: z
    .record(z.string(), z.unknown())
    .default({})
    .describe(said('puppet 的选项，如 { token: "${WECHATY_TOKEN}" }。', 'Options of the puppet.')),
  name: StoreName.default('siyu').describe(
    said('登录状态文件的名字。', 'Name of the file that remembers the sign-in.'),
  ),
  rules: z.string().min(1).default('config/wechaty.yaml').describe(said('聊天规则文件。', 'File of the chat rules.')),
})

const Paths = z.strictObject({
  tags: z.string().min(1).default('config/tags').describe(said('标签定义目录。', 'Folder of tag definitions.')),
  identity: z
    .string()
    .min(1)
    .default('config/identity.yaml')
    .describe(said('OneID 合并规则。', 'Rules of identity merging.')),
  lifecycle: z.string().min(1).default('config/lifecycle.yaml').describe(said('生命周期阶段。', 'Lifecycle stages.')),
  policy: z
    .string()
    .min(1)
    .default('config/policy.yaml')
    .describe(said('触达策略：静默时段、频次上限。', 'Quiet hours and caps.')),
  content: z.string().min(1).default('config/content').describe(said('内容目录。', 'Folder of contents.')),
  welcome: z
    .string()
    .min(1)
    .default('config/welcome.yaml')
    .describe(
      said(
        '新客欢迎语规则，没有这个文件就不发。',
        'What new customers are greeted with; without the file nothing is said.',
      ),
    ),
  events: z
    .string()
    .min(1)
    .default('config/events.yaml')
    .describe(said('事件目录。', 'Catalogue of events that rules may name.')),
  segments: z.string().min(1).default('config/segments.yaml').describe(said('人群。', 'Segments.')),
  coupons: z.string().min(1).default('config/coupons.yaml').describe(said('券码池。', 'Pools of coupon codes.')),
  wecom: z
    .string()
    .min(1)
    .default('config/wecom')
    .describe(
      said(
        '活码、群码、获客链接的目录。',
        'Folder of live codes, group codes and acquisition links: ways, join-ways, links.',
      ),
    ),
  journeys: z.string().min(1).default('journeys').describe(said('旅程目录，文件名即旅程 id。', 'Folder of journeys.')),
})

/** Everything `config/service.yaml` may contain. */
export const ServiceConfig = z.strictObject({
  brand: Brand.describe(said('品牌。', 'The brand.')),
  http: Http.prefault({}).describe(said('HTTP 接口。', 'The HTTP interface.')),
  dataDir: z
    .string()
    .min(1)
    .default('.siyu')
    .describe(
      said(
        '数据目录，相对于启动时的当前目录。',
        'Data directory, relative to the directory the service is started in.',
      ),
    ),
  documents: Documents.default({ kind: 'sqlite' }),
  events: Events.default({ kind: 'chdb' }),
  jobs: Jobs.prefault({ kind: 'in-process' }),
  wecom: Wecom.optional().describe(said('企业微信；不填则不连接。', 'WeCom; without it the service does not connect.')),
  wechaty: Wechaty.optional().describe(
    said('wechaty 机器人；不填则不启动。', 'A wechaty bot; without it none is started.'),
  ),
  ingest: Ingest.prefault({}).describe(said('收数据。', 'How records are taken in.')),
  sending: Sending.prefault({}).describe(said('发送开关。', 'What may be sent to whom.')),
  paths: Paths.prefault({}).describe(said('定义文件的位置。', 'Where the definition files are.')),
  linkBase: z
    .union([HttpUrl, z.literal('')], { error: HTTP_URL })
    .optional()
    .transform((url) => url || undefined)
    .describe(
      said(
        '内容里链接的前缀；品牌没有自己的网页就不填，内容也就不能带链接。',
        'Where links of contents point; without a site of its own a brand leaves it out, and its contents have no links.',
      ),
    ),
  splitSeed: integer(0, 2_147_483_647)
    .default(1)
    .describe(said('对照组与分流的种子，上线后不要改。', 'Seed of holdouts and splits; do not change it once live.')),
  sources: z.array(z.string().min(1)).default([]).describe(said('数据源映射文件。', 'Mapping files of data sources.')),
})
export type Config = z.infer<typeof ServiceConfig>

export type Section = keyof z.input<typeof ServiceConfig>

/**
 * Reads the configuration, fills `${NAME}` and `${NAME:-default}` from `env` and, where it has no such name, from the file `.env`
 * beside the configuration, and lets `MONGODB_URI`, `CLICKHOUSE_URL` and `REDIS_URL` switch a port from embedded to service.
 * Opens nothing.
 *
 * @param options.without - sections that nobody needs here: one with which something is wrong counts as not there
 * @throws {ConfigError} with every problem: file, line (or the variable's name), path and fix; never a secret
 */
export async function loadConfig({
  without = [],
  ...from
}: ConfigSource & { without?: readonly Section[] }): Promise<Config> {
  const { config, problems, cause } = await readConfig(from, without)
  if (config !== undefined) return config
  const what =
    cause === undefined
      ? said('配置不能用', 'Configuration is not usable')
      : said('配置文件读不了', 'Configuration cannot be read')
  throw new ConfigError(what, problems, { cause })
}

type ConfigSource = { file: string; env: Env }

type ReadConfig = {
  config?: Config
  part: Partial<Config>
  problems: readonly Problem[]
  /** Why there is nothing at all. */
  cause?: InvalidInputError
}

/** As `loadConfig`; of a configuration that cannot be used, what is wrong with it and as much of it as can. */
export async function readConfig(
  { file, env: given }: ConfigSource,
  without: readonly Section[] = [],
): Promise<ReadConfig> {
  const env = { ...(await readEnvFile(join(dirname(file), '.env'))), ...withoutEmpty(given) }
  let yaml: YamlFile
  try {
    yaml = await readYaml(file)
  } catch (err) {
    if (err instanceof InvalidInputError) return { part: {}, problems: err.problems, cause: err }
    throw err
  }
  const read = readSections(yaml, env)
  const unneeded: ReadonlySet<string> = new Set(without)
  const broken = new Set(read.problems.map(({ path }) => path.split('.', 1)[0]!).filter((name) => unneeded.has(name)))
  return broken.size === 0 ? read : readSections(withoutSections(yaml, broken), env)
}

/** A brand there must be: where its own cannot be used, one with the defaults. */
function withoutSections(yaml: YamlFile, names: ReadonlySet<string>): YamlFile {
  if (!isObject(yaml.value)) return yaml
  const kept = Object.entries(yaml.value).filter(([name]) => !names.has(name))
  return { ...yaml, value: { ...Object.fromEntries(kept), ...(names.has('brand') && { brand: { name: 'siyu' } }) } }
}

function readSections(yaml: YamlFile, env: Env): ReadConfig {
  const fill = fillVariables(yaml, env)
  const override = overrideStores(fill.value, env)
  const parsed = parseYaml(ServiceConfig, { ...withoutSecrets(yaml), value: override.value }, hideSecrets(yaml.value))
  const filledPaths = new Set(fill.problems.map((p) => p.path))
  const problems = [
    ...fill.problems,
    ...override.problems,
    ...('problems' in parsed ? parsed.problems.filter((p) => !filledPaths.has(p.path)) : []),
  ]
  if ('value' in parsed && problems.length === 0) return { config: parsed.value, part: parsed.value, problems: [] }
  return { part: salvage(ServiceConfig, override.value).part, problems }
}

async function readEnvFile(file: string): Promise<Env> {
  try {
    return withoutEmpty(parseEnv(await readFile(file, 'utf8')))
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ConfigError(said('配置文件读不了', 'Configuration cannot be read'), [
      { file, path: '', message: messageOf(err), hint: said('让它可读，或删掉它', 'make it readable, or remove it') },
    ])
  }
}

function withoutEmpty(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
}

/** The same configuration for a process that was started outside `folder`: its files are those below it. */
export function placedIn(folder: string, config: Config): Config {
  const { paths, sources, wechaty } = config
  const at = (path: string) => resolve(folder, path)
  return {
    ...config,
    paths: Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, at(path)])) as Config['paths'],
    sources: sources.map(at),
    ...(wechaty !== undefined && { wechaty: { ...wechaty, rules: at(wechaty.rules) } }),
  }
}

function fillVariables(yaml: YamlFile, env: Env): { value: unknown; problems: Problem[] } {
  const problems: Problem[] = []
  const value = mapScalars(yaml.value, (scalar, path) => {
    if (typeof scalar !== 'string') return scalar
    return scalar.replace(/\$\{([^}]*)\}/g, (placeholder, inner: string) => {
      const match = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner)
      const found = match === null ? undefined : env[match[1]!] || match[2]
      if (found !== undefined) return found
      const line = yaml.lineOf(path)
      const place = { file: yaml.file, ...(line !== undefined && { line }), path: path.join('.') }
      problems.push(
        match === null
          ? {
              ...place,
              message: said(`${placeholder} 没有写环境变量的名字`, `${placeholder} names no environment variable`),
              hint: said('写成 ${NAME} 或 ${NAME:-默认值}', 'write ${NAME} or ${NAME:-default}'),
            }
          : {
              ...place,
              message: said(`环境变量 ${match[1]} 没有设置`, `environment variable ${match[1]} is not set`),
              hint: said(
                `设置 ${match[1]}，或给默认值：\${${match[1]}:-默认值}`,
                `set ${match[1]}, or give a default: \${${match[1]}:-default}`,
              ),
            },
      )
      return placeholder
    })
  })
  return { value, problems }
}

/** The three URLs every hosting platform sets. They win over the file, so that one file serves laptop and cluster. */
function overrideStores(value: unknown, env: Env): { value: unknown; problems: Problem[] } {
  const switches = [
    { variable: 'MONGODB_URI', field: 'documents', kind: 'mongo', isValid: isMongoUrl, message: MONGO_URL },
    { variable: 'CLICKHOUSE_URL', field: 'events', kind: 'clickhouse', isValid: isHttpUrl, message: HTTP_URL },
    { variable: 'REDIS_URL', field: 'jobs', kind: 'bull', isValid: isRedisUrl, message: REDIS_URL },
  ].filter(({ variable }) => env[variable])
  const problems = switches
    .filter(({ variable, isValid }) => !isValid(env[variable]!))
    .map(({ variable, field, message }) => ({
      path: variable,
      message: said(
        `环境变量 ${variable} ${sentencesOf(message).zh}`,
        `environment variable ${variable} ${sentencesOf(message).en}`,
      ),
      hint: said(
        `改正它，或不设置它而用配置文件里的 ${field}`,
        `correct it, or unset it to use ${field} of the configuration file`,
      ),
    }))
  if (!isObject(value)) return { value, problems }
  const overrides = switches
    .filter(({ variable, isValid }) => isValid(env[variable]!))
    .map(({ variable, field, kind }) => {
      const configured = value[field]
      const kept =
        isObject(configured) && configured['kind'] === kind
          ? configured
          : { ...databaseOf(kind, env[variable]!), ...howJobsRun(kind, configured) }
      return [field, { ...kept, kind, url: env[variable] }]
    })
  return { value: { ...value, ...Object.fromEntries(overrides) }, problems }
}

/** A database named in a MongoDB URL is meant. */
function databaseOf(kind: string, url: string): { database?: string } {
  const name = kind === 'mongo' ? /^[^/]+\/\/[^/]+\/([^?]+)/.exec(url)?.[1] : undefined
  return name === undefined ? {} : { database: name }
}

/** How jobs run does not depend on where they queue. */
function howJobsRun(kind: string, configured: unknown): object {
  if (kind !== 'bull' || !isObject(configured)) return {}
  return Object.fromEntries(
    Object.keys(HowJobsRun).flatMap((key) => (key in configured ? [[key, configured[key]]] : [])),
  )
}

/** A secret that is written out, and reads like a number, is not told. */
function withoutSecrets(yaml: YamlFile): YamlFile {
  const doubts = yaml.doubts.map((doubt) =>
    SECRET.test(doubt.path)
      ? {
          ...doubt,
          message: said('没有引号，会读成数字', 'without quotes it is read as a number'),
          hint: said('加引号', 'quote it'),
        }
      : doubt,
  )
  return { ...yaml, doubts }
}

const SECRET = /secret|token|key/i

/** What messages may quote: the text before variables were filled in, without secrets that somebody wrote out. */
function hideSecrets(value: unknown): unknown {
  return mapScalars(value, (scalar, path) => {
    const text = typeof scalar === 'string' ? scalar.replace(/\/\/[^/@]*@/g, '//…@') : scalar
    const isPlaceholder = typeof text === 'string' && text.startsWith('${')
    return !isPlaceholder && path.some((key) => SECRET.test(key)) ? '…' : text
  })
}

function mapScalars(
  value: unknown,
  map: (scalar: unknown, path: readonly string[]) => unknown,
  path: readonly string[] = [],
): unknown {
  if (Array.isArray(value)) return value.map((item, i) => mapScalars(item, map, [...path, String(i)]))
  if (!isObject(value)) return map(value, path)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapScalars(item, map, [...path, key])]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : ''
}
