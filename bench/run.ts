import { writeFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { renderTable } from '../src/print/table.js'
import { AppError, messageOf } from '../src/errors.js'
import type { Benchmark, Scale } from './measure.js'
import { renderRun } from './report.js'
import { Asked, benchmarks, runHere, runSuite, usual } from './suite.js'

type Options = {
  json?: string
  against?: string
  keep?: string
  only: string[]
  rounds?: number
  quick?: true
  list?: true
  child?: string
  scale?: Scale
  dir?: string
  asked?: string
}

const stop = new AbortController()

const program = new Command('npm run bench --')
  .description('性能基准 · benchmarks, each against a baseline that does the least')
  .argument('[names...]', '要跑哪些 · which to run')
  .option('--json <file>', '同时写成 JSON · also writes JSON')
  .option('--quick', '小规模，只看能不能跑 · small, to see that they run')
  .option('--list', '列出名字 · lists the names')
  .option('--against <folder>', 'versions：另一个版本，已构建 · for versions: another version of siyu, built')
  .option(
    '--keep <folder>',
    '每轮结果和灌好的库留在这里，中断后同一命令接着跑 · rounds and filled stores stay here; the same command goes on after an interruption',
  )
  .option(
    '--only <case>',
    '只跑名字含它的用例，可多次 · only cases whose name holds it; repeatable',
    (part: string, before: string[]) => [...before, part],
    [],
  )
  .option('--rounds <n>', '跑几轮 · how many rounds', Number)
  .addOption(new Option('--scale <scale>').choices(['full', 'quick', 'tiny']).hideHelp())
  .addOption(new Option('--child <name>').hideHelp())
  .addOption(new Option('--dir <dir>').hideHelp())
  .addOption(new Option('--asked <json>').hideHelp())
  .action(main)

async function main(names: string[], options: Options): Promise<void> {
  const scale = options.scale ?? (options.quick === true ? 'quick' : 'full')
  if (options.child !== undefined && options.dir !== undefined && options.asked !== undefined)
    return runHere(options.child, scale, options.dir, Asked.parse(JSON.parse(options.asked)))
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  if (options.list === true) {
    process.stdout.write(list())
    return
  }
  const { against, keep, only, rounds } = options
  const chosen = choose(names)
  const forgetful = chosen.find(({ keeps }) => keeps !== true)
  if (forgetful !== undefined && (keep !== undefined || only.length > 0 || rounds !== undefined))
    program.error(`--keep --only --rounds: ${forgetful.name} 不支持 · ${forgetful.name} knows none of them`)
  const run = await runSuite(chosen, {
    scale,
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
    note: (text) => process.stderr.write(`${text}\n`),
    signal: stop.signal,
    asked: { against, only, rounds },
    keep,
  })
  const titles = new Map(benchmarks.map((b) => [b.name, `${b.title.zh} · ${b.title.en}`]))
  process.stdout.write(renderRun(run, titles))
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(run, null, 2)}\n`)
}

function choose(names: readonly string[]): readonly Benchmark[] {
  const known = benchmarks.map((b) => b.name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    program.error(`没有叫 ${unknown} 的基准 · there is no benchmark "${unknown}": ${known.join(', ')}`)
  return names.length === 0 ? usual : benchmarks.filter((b) => names.includes(b.name))
}

function list(): string {
  return renderTable(
    [{ title: '名字 Name' }, { title: '测什么 What it measures' }, { title: '个 Each' }, { title: '基线 Baseline' }],
    benchmarks.map((b) => [b.name, `${b.title.zh} ${b.title.en}`, `${b.unit.zh} ${b.unit.en}`, b.baseline || '–']),
  )
}

try {
  await program.parseAsync()
} catch (err) {
  if (stop.signal.aborted) process.stderr.write('已中断 · interrupted\n')
  else if (err instanceof AppError) process.stderr.write(`${messageOf(err)}\n`)
  else throw err
  process.exitCode = 1
}
