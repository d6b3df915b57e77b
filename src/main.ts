#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander'
import type { DemoCommand } from './cli/demo.js'
import type { PersonOptions } from './cli/person.js'
import { parseRoles, ROLES } from './cli/roles.js'
import type { ServiceOptions } from './cli/open-service.js'
import { parseClock } from './cli/sandbox.js'
import type { ServeCommand } from './cli/serve.js'
import type { TransferCommand } from './cli/transfer.js'
import { AppError, messageOf } from './errors.js'

// Engines and servers take seconds to load on a slow machine: a command is imported when it is called, so that help is
// there at once and the demo can say at once what it is about to do.

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

// Whoever reads our output may have seen enough of it (`siyu why 42 | head`).
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

type WithConfig = { config: string }

/** What every command that opens the stores is given. */
function service({ config }: WithConfig): ServiceOptions {
  return { config, env: process.env, signal: stop.signal }
}

function wholeNumber(text: string): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isInteger(n) || n < 0)
    throw new InvalidArgumentError('给一个非负整数 give a whole number, 0 or more.')
  return n
}

function instant(text: string): Date {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('写成 write it as 2026-01-31T09:00:00+08:00.')
  return at
}

function clockMode(text: string) {
  const clock = parseClock(text)
  if (clock === undefined) throw new InvalidArgumentError('写成 write real, step or a speed like 60x.')
  return clock
}

const configOption = () => new Option('--config <file>', '配置文件 · configuration').default('config/service.yaml')
const examples = (...lines: string[]) => `\n例子 Examples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`

const program = new Command('siyu')
  .description('私域：企业微信里的客户数据与营销自动化 · private-domain marketing for WeCom')
  .showHelpAfterError('（siyu --help 查看用法 · shows how to use it）')
  .addHelpText(
    'after',
    `
第一次用 First steps:
  $ siyu demo                                   一年真实订单走完整条路，什么都不用装 a year of real orders, nothing to install
  $ siyu check                                  检查你改过的文件 checks the files you edited
  $ siyu serve                                  启动服务 starts the service
  $ siyu publish                                让改过的旅程生效 makes edited journeys live

数据 Data:
  $ siyu import config/sources/members.yaml     导入一份 CSV imports a CSV file
  $ siyu tags explain rfm_class --member 13085  为什么是这个标签值 why a tag has its value
  $ siyu why 42                                 为什么收到或没收到 why somebody got something, or did not

停发 Stop all sends at once:
  $ siyu send stop

服务正在运行时，命令会交给它去做。 While the service runs, commands have it do the work.
每个命令的细节 Details of a command: siyu <命令 command> --help`,
  )

program
  .command('demo')
  .description('用一年真实订单走完整条路，最后给出报告 · a year of real orders through the whole product')
  .option('--json <file>', '把全部数字写成 JSON · write every figure as JSON')
  .option('--data <dir>', '状态放在哪里 · where all state is kept', '.siyu/demo')
  .option('--fresh', '丢掉旧的重新开始 · drop what is there and begin anew', false)
  .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
  .option('--days <n>', '实时阶段的天数 · days to live through', wholeNumber, 30)
  .option('--keep', '结束后继续提供页面 · go on serving the page after the end', false)
  .addOption(new Option('--lang <zh|en>', '语言 · language').choices(['zh', 'en']).default('zh'))
  .action(async (options: DemoCommand) =>
    (await import('./cli/demo.js')).demoCommand(options, process.env, stop.signal),
  )

program
  .command('serve')
  .description('启动服务 · run the service')
  .addOption(configOption())
  .addOption(
    new Option('--role <roles>', `这个进程做什么，逗号分隔 · what this process does, with commas: ${ROLES.join(',')}`)
      .argParser(parseRoles)
      .default(ROLES, ROLES.join(',')),
  )
  .option('--port <n>', '监听端口，代替 http.port · port, instead of http.port', wholeNumber)
  .addHelpText(
    'after',
    examples(
      'siyu serve',
      'siyu serve --port 0',
      'siyu serve --role worker   # 需要 needs MONGODB_URI, CLICKHOUSE_URL, REDIS_URL',
    ),
  )
  .action(async (options: ServeCommand) =>
    (await import('./cli/serve.js')).serveCommand(options, process.env, stop.signal),
  )

program
  .command('check')
  .description(
    '检查配置、定义和数据源映射，什么都不改 · check configuration, definitions and mappings; changes nothing',
  )
  .addOption(configOption())
  .action(async (options: WithConfig) => (await import('./cli/check.js')).checkCommand(options, process.env))

program
  .command('doctor')
  .description(
    '上线前体检：凭证、可信 IP、可见范围、权限、回调、时钟、存储，什么都不改 · checks credentials, trusted IP, range, rights, callback, clock and stores; changes nothing',
  )
  .addOption(configOption())
  .option('--json', '给程序读 · for programs', false)
  .addHelpText('after', examples('siyu doctor', 'siyu doctor --json'))
  .action(async (options: WithConfig & { json: boolean }) => {
    if (!(await (await import('./cli/doctor.js')).doctorCommand(options, process.env))) process.exitCode = 1
  })

program
  .command('publish')
  .description('检查后让旅程生效 · check, then make the journeys live')
  .addOption(configOption())
  .action(async (options: WithConfig) => (await import('./cli/publish.js')).publishCommand(service(options)))

program
  .command('import')
  .description('按映射导入 CSV，重复执行无害 · import CSV files through their mappings; repeating it is harmless')
  .argument('[mappings...]', '映射文件，默认为配置里的 sources · mapping files; default: sources of the configuration')
  .addOption(configOption())
  .addHelpText(
    'after',
    examples('siyu import config/sources/members.yaml config/sources/online-retail.yaml --config config/demo.yaml'),
  )
  .action(async (mappings: string[], options: WithConfig) =>
    (await import('./cli/import.js')).importCommand(mappings, service(options)),
  )

const tags = program.command('tags').description('标签：列表、刷新、解释 · tags: list, refresh, explain')
tags
  .command('list')
  .description('全部标签和覆盖率 · every tag with its coverage')
  .addOption(configOption())
  .action(async (options: WithConfig) => (await import('./cli/tags.js')).listTagsCommand(service(options)))
tags
  .command('refresh')
  .description('现在重算，默认全部 · compute now, all of them by default')
  .option('--tag <id...>', '只算这些 · only these', [])
  .addOption(configOption())
  .addHelpText('after', examples('siyu tags refresh', 'siyu tags refresh --tag rfm_class intent'))
  .action(async (options: WithConfig & { tag: string[] }) =>
    (await import('./cli/tags.js')).refreshTagsCommand(options.tag, service(options)),
  )
person(
  tags
    .command('explain')
    .description(
      '一个人为什么是这个值：每个条件和背后的数字 · why a person has this value: each clause with its figure',
    )
    .argument('<tag>', '标签 id · tag id'),
)
  .addHelpText(
    'after',
    examples('siyu tags explain rfm_class --member 13085', 'siyu tags explain lifecycle_stage --profile 42'),
  )
  .action(async (tag: string, options: WithConfig & PersonOptions) =>
    (await import('./cli/tags.js')).explainTagCommand(
      tag,
      (await import('./cli/person.js')).parsePerson(options),
      service(options),
    ),
  )

const journeys = program.command('journeys').description('旅程：解释进入条件 · journeys: explain who enters')
person(
  journeys
    .command('explain')
    .description('一个人是否满足进入条件，为什么 · whether a person meets the entry rule, and why')
    .argument('<journey>', '旅程 id · journey id'),
)
  .addHelpText('after', examples('siyu journeys explain vip-dormant-30-60d --profile 42'))
  .action(async (journey: string, options: WithConfig & PersonOptions) =>
    (await import('./cli/tags.js')).explainEntryCommand(
      journey,
      (await import('./cli/person.js')).parsePerson(options),
      service(options),
    ),
  )

const wecom = program.command('wecom').description('企业微信 · WeCom')
wecom
  .command('sync')
  .description('拉取全部客户 · pull every contact')
  .addOption(configOption())
  .action(async (options: WithConfig) => (await import('./cli/wecom.js')).syncWecomCommand(service(options)))

const pruneOption = () =>
  new Option('--prune', '删除不在文件里的活码和链接 · delete ways and links that are in no file').default(false)
wecom
  .command('plan')
  .description('活码、群码、获客链接：与文件有何不同 · live codes, group codes, links: what differs from the files')
  .addOption(configOption())
  .addOption(pruneOption())
  .action(async (options: WithConfig & { prune: boolean }) =>
    (await import('./cli/ways.js')).planWaysCommand(service(options), options.prune),
  )
wecom
  .command('apply')
  .description('让企业微信与文件一致，重复执行无害 · make WeCom hold what the files say; repeating it is harmless')
  .addOption(configOption())
  .addOption(pruneOption())
  .action(async (options: WithConfig & { prune: boolean }) => {
    if (!(await (await import('./cli/ways.js')).applyWaysCommand(service(options), options.prune))) process.exitCode = 1
  })

wecom
  .command('transfer')
  .description('把客户转给另一位成员 · hand customers over to another member')
  .requiredOption('--from <userid>', '原跟进成员 · the old owner')
  .requiredOption('--to <userid>', '接替成员 · the new owner')
  .option('--customers <file>', '每行一个 external_userid；默认全部 · one a line; default: all of them')
  .option('--resigned', '原成员已离职 · the old owner has left', false)
  .option('--message <text>', '在职转接时给客户的提示 · shown to the customer')
  .addOption(configOption())
  .addHelpText(
    'after',
    examples(
      'siyu wecom transfer --from guide001 --to guide002',
      'siyu wecom transfer --from guide001 --to guide002 --resigned',
    ),
  )
  .action(async (options: WithConfig & TransferCommand) =>
    (await import('./cli/transfer.js')).transferCommand(options, service(options)),
  )
wecom
  .command('transfers')
  .description('转接进度和失败原因 · how transfers stand')
  .addOption(configOption())
  .action(async (options: WithConfig) => (await import('./cli/transfer.js')).transfersCommand(service(options)))
wecom
  .command('stats')
  .description('渠道与成员每日统计 · arrivals by channel and members, by day')
  .option('--days <n>', '最近几天，含今天 · days, today included', wholeNumber, 7)
  .option('--json', '给程序读 · for programs', false)
  .addOption(configOption())
  .action(async (options: WithConfig & { days: number; json: boolean }) =>
    (await import('./cli/wecom-stats.js')).wecomStatsCommand(service(options), options.days, options.json),
  )

const send = program.command('send').description('停发开关 · the switch that stops every send')
for (const [action, text] of [
  ['stop', '立刻停止一切发送 · stop every send at once'],
  ['resume', '恢复发送 · send again'],
  ['status', '现在的状态 · how it stands'],
] as const) {
  send
    .command(action)
    .description(text)
    .addOption(configOption())
    .action(async (options: WithConfig) => (await import('./cli/send.js')).sendCommand(action, service(options)))
}

person(
  program
    .command('why')
    .description('一个人收到了什么、没收到什么，为什么 · what a person got and did not get, and why')
    .argument('[touch-or-profile]', '触达 id，或档案号 · a touch id, or a profile number'),
)
  .addHelpText('after', examples('siyu why 42', 'siyu why --member 13085', 'siyu why vip-dormant-30-60d:42:0/0'))
  .action(async (of: string | undefined, options: WithConfig & PersonOptions) =>
    (await import('./cli/why.js')).whyCommand(
      of === undefined
        ? (await import('./cli/person.js')).parsePerson(options)
        : /^\d+$/.test(of)
          ? { profileId: Number(of) }
          : { touchId: of },
      service(options),
    ),
  )

program
  .command('sandbox')
  .description('本地企业微信沙盒 · a local WeCom to try things on')
  .option('--port <n>', '端口，默认任选 · port; default: any free one', wholeNumber)
  .option('--scenario <file>', '成员与客户 YAML · members and customers as YAML')
  .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
  .option(
    '--clock <kind>',
    'real 真实时间；60x 六十倍速；step 由控制接口推进 · real time, N times faster, or moved by the control API',
    clockMode,
    'real',
  )
  .option('--start-at <time>', '从何时开始 · where a stepped or fast clock starts', instant)
  .option('--callback <url>', '把回调发到哪里 · where callbacks are sent')
  .option('--state <file>', '状态文件，默认在内存 · state file; default: in memory')
  .option('--json', '给程序读的一行 JSON · one line of JSON for programs', false)
  .addHelpText('after', examples('siyu sandbox --port 9090 --callback http://127.0.0.1:8080/wecom/callback'))
  .action(async (options: SandboxOptions) => {
    const { scenario, state, ...rest } = options
    await (
      await import('./cli/sandbox.js')
    ).runSandboxCommand(
      {
        ...rest,
        ...(scenario === undefined ? {} : { scenarioFile: scenario }),
        ...(state === undefined ? {} : { stateFile: state }),
      },
      stop.signal,
    )
  })
type SandboxOptions = {
  port?: number
  scenario?: string
  seed: number
  clock: ReturnType<typeof clockMode>
  startAt?: Date
  callback?: string
  state?: string
  json: boolean
}

program
  .command('schemas')
  .description('写出编辑器补全用的 JSON Schema · write the JSON Schemas that editors complete files by')
  .option('--check', '只检查是否最新 · only say whether they are current', false)
  .action(async (options: { check: boolean }) => (await import('./cli/schemas.js')).schemasCommand(options))

function person(command: Command): Command {
  return command
    .option('--profile <n>', '档案号 · profile number', wholeNumber)
    .option('--member <id>', '会员号，即 --identifier member_id:<id> · member id')
    .option('--identifier <type:value>', '任意标识，如 unionid:… 、phone:… · any identifier')
    .addOption(configOption())
}

try {
  await program.parseAsync()
} catch (err) {
  const interrupted = stop.signal.aborted && err instanceof Error && err.name === 'AbortError'
  const text = interrupted
    ? '已中断，可以重新执行 · interrupted; it can be run again'
    : err instanceof AppError
      ? err.message
      : err instanceof Error
        ? (err.stack ?? err.message)
        : messageOf(err)
  process.stderr.write(`${text}\n`)
  process.exitCode = interrupted ? 130 : 1
}
