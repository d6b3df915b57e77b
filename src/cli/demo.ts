import { type Command, Option } from 'commander'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../config.js'
import type { Problem } from '../errors.js'
import { bilingual } from '../said.js'
import { type CommandContext, localeOf, wholeNumber } from './options.js'

export function registerDemo(program: Command, { env, signal }: CommandContext): void {
  program
    .command('demo')
    .description('用一年真实订单走完整条路，最后给出报告 · a year of real orders through the whole product')
    .option('--json <file>', '把全部数字写成 JSON · write every figure as JSON')
    .option('--data <dir>', '状态放在哪里 · where all state is kept', '.siyu/demo')
    .option('--fresh', '丢掉旧的重新开始 · drop what is there and begin anew', false)
    .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
    .option('--days <n>', '实时阶段的天数 · days to live through', wholeNumber, 30)
    .option('--keep', '结束后继续提供页面 · go on serving the page after the end', false)
    .addOption(
      new Option('--lang <zh|en>', '语言，默认看环境 · language; default: as the locale says').choices(['zh', 'en']),
    )
    .addOption(
      new Option('--workers <n>', '几个 worker 分担，仅限共用存储 · workers, on shared stores only')
        .argParser(wholeNumber)
        .default(1)
        .hideHelp(),
    )
    .action(async (options: Omit<DemoCommand, 'lang'> & Partial<Pick<DemoCommand, 'lang'>>) =>
      demoCommand({ ...options, lang: options.lang ?? localeOf(env) }, env, signal),
    )
}

export type DemoCommand = {
  json?: string
  data: string
  fresh: boolean
  seed: number
  days: number
  keep: boolean
  lang: 'zh' | 'en'
  /** Not for users: shows that their number changes nothing. */
  workers: number
}

const SHOWN_PROBLEMS = 5

/** `siyu demo`: a year of real orders through the whole product, ending in a report. */
export async function demoCommand(command: DemoCommand, env: Env, stopped: AbortSignal): Promise<void> {
  const { json, data, seed, days, fresh, keep, lang, workers } = command
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const words = bilingual(lang)
  say(describeDemo(command, keptIn(command)))

  // The engines take seconds to load on a slow machine; what is said above must not wait for them.
  const [{ runDemo }, { stringifyReport }, { formatProblem }, { jsonLog }, { createProgress }, { renderReport }] =
    await Promise.all([
      import('../../demo/run-demo.js'),
      import('../../demo/demo-report.js'),
      import('../errors.js'),
      import('../log.js'),
      import('../print/progress.js'),
      import('../../demo/report-terminal.js'),
    ])
  const problems: Problem[] = []
  const run = await runDemo({
    dataDir: data,
    seed,
    days,
    fresh,
    env,
    log: jsonLog(say),
    lang,
    keep,
    workers,
    progress: createProgress({ stream: process.stderr, locale: lang }),
    signal: stopped,
    onProblem: (problem) => problems.push(problem),
    onPage: (url) => say(`${words('观看页面', 'watch at')} ${url}`),
  })
  try {
    for (const problem of problems.slice(0, SHOWN_PROBLEMS)) say(formatProblem(problem, lang))
    if (problems.length > SHOWN_PROBLEMS)
      say(`… ${words(`共 ${problems.length} 个问题`, `${problems.length} problems in all`)}`)
    if (json !== undefined) await writeFile(json, stringifyReport(run.report))
    const width = Math.max(60, Math.min(process.stdout.columns ?? 100, 120))
    process.stdout.write(
      renderReport(run.report, { locale: lang, width, colour: process.stdout.isTTY === true, names: run.names }),
    )
    process.stdout.write(`\n${words('图表版', 'with charts')}: ${data}/report.html\n`)
    if (keep && !stopped.aborted) {
      say(words('页面继续服务，按 Ctrl-C 结束', 'the page stays up, press Ctrl-C to end'))
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
  } finally {
    await run.close()
  }
}

type Kept = 'nothing' | 'unfinished' | 'finished'

/** What an earlier demo has left in the data directory. */
function keptIn({ data, fresh }: DemoCommand): Kept {
  if (fresh || !existsSync(join(data, 'demo.json'))) return 'nothing'
  return existsSync(join(data, 'report.json')) ? 'finished' : 'unfinished'
}

/** What the demo is about to do, in lines. */
export function describeDemo({ data, days, lang }: Pick<DemoCommand, 'data' | 'days' | 'lang'>, kept: Kept): string {
  const describe = { zh: describeInChinese, en: describeInEnglish }[lang]
  return describe(data, days)[kept].join('\n')
}

type Description = Record<Kept, string[]>

function describeInChinese(data: string, days: number): Description {
  const what = [
    '演示：一家英国礼品店一年的真实订单，加上虚构的会员和企微好友，把整个产品走一遍',
    `  两步：先载入历史，再用虚拟时钟过完最后 ${days} 天，对面是本地企业微信；最后给出报告`,
    '  历史载入一部分以后，进度里会写出这台机器上大约还要多久',
  ]
  return {
    nothing: [...what, `  状态都在 ${data}：随时可以杀掉，同一条命令会接着跑`],
    unfinished: [...what, `  ${data} 里有跑到一半的，接着跑；--fresh 重新开始`],
    finished: [`演示：${data} 里的已经跑完，直接给出报告；--fresh 重新开始`],
  }
}

function describeInEnglish(data: string, days: number): Description {
  const what = [
    'Demo: a year of real orders of a British gift shop, with synthetic members and WeCom contacts, through the whole product',
    `  in two phases: it loads history, then lives the last ${days} ${days === 1 ? 'day' : 'days'} on a virtual clock against a local WeCom; a report ends it`,
    '  how long that takes on this machine stands beside the progress once some of the history is loaded',
  ]
  return {
    nothing: [
      ...what,
      `  all state is kept in ${data}: kill it whenever you like, the same command goes on from there`,
    ],
    unfinished: [...what, `  it goes on with the run that is kept in ${data}; --fresh begins anew`],
    finished: [`Demo: the run kept in ${data} is finished, here is its report; --fresh begins anew`],
  }
}
