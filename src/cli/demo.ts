import { writeFile } from 'node:fs/promises'
import { runDemo } from '../demo/run-demo.js'
import type { Env } from '../config.js'
import { stringifyReport } from '../domain/measures/demo-report.js'
import { formatProblem, type Problem } from '../errors.js'
import { jsonLog } from '../log.js'
import { createProgress } from './progress.js'
import { renderReport } from './report-terminal.js'

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
