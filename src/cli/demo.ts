import { type Command, Option } from 'commander'
import { writeFile } from 'node:fs/promises'
import type { Env } from '../config.js'
import { formatProblem, type Problem } from '../errors.js'
import { jsonLog } from '../log.js'
import { type CommandContext, wholeNumber } from './options.js'

export function registerDemo(program: Command, { env, signal }: CommandContext): void {
  program
    .command('demo')
    .description('用一年真实订单走完整条路，最后给出报告 · a year of real orders through the whole product')
    .option('--json <file>', '把全部数字写成 JSON · write every figure as JSON')
    .option('--data <dir>', '状态放在哪里 · where all state is kept', '.siyu/demo')
    .option('--fresh', '丢掉旧的重新开始 · drop what is there and begin anew', false)
    .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
    .option('--days <n>', '实时阶段的天数 · days to live through', wholeNumber, 90)
    .option('--keep', '结束后继续提供页面 · go on serving the page after the end', false)
    .addOption(new Option('--lang <zh|en>', '语言 · language').choices(['zh', 'en']).default('zh'))
    .action(async (options: DemoCommand) => demoCommand(options, env, signal))
}

export type DemoCommand = {
  json?: string
  data: string
  fresh: boolean
  seed: number
  days: number
  keep: boolean
  lang: 'zh' | 'en'
}

const SHOWN_PROBLEMS = 5

/** `siyu demo`: a year of real orders through the whole product, ending in a report. */
export async function demoCommand(command: DemoCommand, env: Env, stopped: AbortSignal): Promise<void> {
  const { runDemo } = await import('../../demo/run-demo.js')
  const { stringifyReport } = await import('../../demo/demo-report.js')
  const { createProgress } = await import('./print/progress.js')
  const { renderReport } = await import('../../demo/report-terminal.js')
  const problems: Problem[] = []
  const run = await runDemo({
    dataDir: command.data,
    seed: command.seed,
    days: command.days,
    fresh: command.fresh,
    env,
    log: jsonLog((line) => process.stderr.write(`${line}\n`)),
    progress: createProgress({ stream: process.stderr, locale: command.lang }),
    onProblem: (problem) => problems.push(problem),
    onPage: (url) => process.stderr.write(`观看页面 · watch at ${url}\n`),
  })
  try {
    for (const problem of problems.slice(0, SHOWN_PROBLEMS)) process.stderr.write(`${formatProblem(problem)}\n`)
    if (problems.length > SHOWN_PROBLEMS)
      process.stderr.write(`… 共 ${problems.length} 个问题 · ${problems.length} problems in all\n`)
    if (command.json !== undefined) await writeFile(command.json, stringifyReport(run.report))
    const width = Math.max(60, Math.min(process.stdout.columns ?? 100, 120))
    process.stdout.write(
      renderReport(run.report, { locale: command.lang, width, colour: process.stdout.isTTY === true }),
    )
    process.stdout.write(`\n图表版 · with charts: ${command.data}/report.html\n`)
    if (command.keep && !stopped.aborted) {
      process.stderr.write('页面继续服务，按 Ctrl-C 结束 · the page stays up, press Ctrl-C to end\n')
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
  } finally {
    await run.close()
  }
}
