import { basename } from 'node:path'
import type { Command } from 'commander'
import { bilingual, inLanguage, said, type Words } from '../said.js'
import type { CsvReport } from '../../connectors/csv/index.js'
import type { FindingId } from '../../connectors/csv/report.js'
import type { LoadedMapping } from '../../connectors/csv/mapping.js'
import { formatProblem, InvalidInputError, type Problem } from '../errors.js'
import { problemsFound } from './check.js'
import { drain } from './drain.js'
import type { Service, ServiceOptions } from '../app/open-service.js'
import { createProgress, type Progress } from '../print/progress.js'
import { formatCount, formatMinor } from '../print/numbers.js'
import { nameOf, SOURCE_FIELDS } from '../print/words.js'
import { columnsIn, fitTable } from '../print/table.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerImport(program: Command, context: CommandContext): void {
  program
    .command('import')
    .description('按映射导入 CSV，重复执行无害 · import CSV files through their mappings; repeating it is harmless')
    .argument(
      '[mappings...]',
      '映射文件，默认为配置里的 sources · mapping files; default: sources of the configuration',
    )
    .option(
      '--file <csv>',
      '按这个映射读另一份文件，如下个月的 · another file through the mapping, e.g. the next month',
    )
    .option('--guess <file>', '看懂一份 CSV，写出映射，不导入 · read a CSV file and write its mapping; imports nothing')
    .addOption(configOption())
    .addHelpText(
      'after',
      examples(
        'siyu import --guess orders.csv',
        'siyu import config/sources/orders.yaml',
        'siyu import config/sources/orders.yaml --file orders-2026-12.csv',
      ),
    )
    .action(async (mappings: string[], { guess, file, ...options }: WithConfig & { guess?: string; file?: string }) => {
      if (guess === undefined) return importCommand(mappings, serviceOptions(options, context), file)
      const { guessCommand } = await import('./import-guess.js')
      return guessCommand(guess, options.config, context.env)
    })
}

const SHOWN_PROBLEMS = 10

/**
 * `siyu import`: reads CSV files through their mappings, hands the records over in batches and waits until they are worked
 * off. Batches are keyed by what they say, so repeating it is harmless. Where nothing of the files could be used, it fails.
 *
 * @param csv - instead of the file that the mapping names; what both hold counts once, since ids are of the mapping's source
 */
export async function importCommand(mappings: readonly string[], options: ServiceOptions, csv?: string): Promise<void> {
  const { loadConfig } = await import('../config.js')
  const { checkMappings } = await import('../app/check-sources.js')
  const { loadCsvMapping } = await import('../../connectors/csv/mapping.js')
  const config = await loadConfig({ file: options.config, env: options.env })
  const files = mappings.length > 0 ? mappings : config.sources
  if (files.length === 0) {
    throw new InvalidInputError(said('没有要导入的', 'nothing to import'), [
      {
        file: options.config,
        path: 'sources',
        message: said('是空的', 'it is empty'),
        hint: said(
          '写上映射文件；还没有映射就 siyu import --guess <CSV>',
          'name mapping files there, or begin with siyu import --guess <CSV>',
        ),
      },
    ])
  }
  if (csv !== undefined && files.length !== 1)
    throw new InvalidInputError(said('按哪个映射？', 'Through which mapping?'), [
      {
        path: '--file',
        message: said(`有 ${files.length} 个映射`, `there are ${files.length} mappings`),
        hint: said('只写一个映射', 'name one of them'),
      },
    ])
  // All of them before the first record of any.
  const problems = await checkMappings(files, { ...config, csv })
  if (problems.length > 0) throw problemsFound(problems)
  const progress = createProgress({ stream: process.stderr, locale: config.brand.locale })
  await withService(options, async (service) => {
    const total = { rows: 0, accepted: 0, left: 0 }
    for (const file of files) {
      const { rows, accepted, left } = await importFile(
        await loadCsvMapping(file, csv),
        service,
        progress,
        options.signal,
      )
      total.rows += rows
      total.accepted += accepted
      total.left += left
    }
    if (await drain(service, progress)) sayTotal(total, bilingual(config.brand.locale))
  })
}

async function importFile(
  loaded: LoadedMapping,
  service: Service,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Total> {
  const { readCsvRecords } = await import('../../connectors/csv/index.js')
  const { locale } = service.config.brand
  const words = bilingual(locale)
  const problems: Problem[] = []
  const reports: CsvReport[] = []
  let [rows, records, accepted, left] = [0, 0, 0, 0]
  progress.start(`${words('读取', 'reading')} ${basename(loaded.dataFile)}`, 0)
  const batches = readCsvRecords(loaded, {
    onProblem: (p) => problems.push(p),
    onReport: (r) => reports.push(r),
    ...(signal === undefined ? {} : { signal }),
  })
  for await (const batch of batches) {
    const taken = await service.take(batch)
    for (const { index, problems: found } of [...taken.rejected, ...(taken.warnings ?? [])])
      problems.push(...found.map((problem) => placed(batch[index]!.ref, problem))) // of this batch
    accepted += taken.accepted
    left += taken.rejected.length
    records += batch.length
    progress.set(records)
  }
  progress.done()
  for (const report of reports) {
    process.stdout.write(renderReport(report, locale))
    rows += report.rows
    for (const { id, count } of report.findings) if (LEFT_OUT.includes(id)) left += count
  }
  for (const problem of problems.slice(0, SHOWN_PROBLEMS)) process.stderr.write(`${formatProblem(problem, locale)}\n`)
  if (problems.length > SHOWN_PROBLEMS) {
    const { length } = problems
    process.stderr.write(`… ${words(`共 ${length} 个问题`, `${length} problems in all`)}\n`)
  }
  return { rows, accepted, left }
}

/** Rows of the files, records of which something is imported, and rows of which nothing is. */
type Total = { rows: number; accepted: number; left: number }

/** Findings of rows of which nothing is imported. */
const LEFT_OUT: readonly FindingId[] = [
  'unreadable_row',
  'late_row',
  'unknown_invoice',
  'row_without_identifier',
  'bad_customer',
]

/** Of a record, by its place in the file: `members.csv:17`. */
function placed(ref: string, problem: Problem): Problem {
  const [, file = ref, line] = /^(.*):(\d+)$/s.exec(ref) ?? []
  return { ...problem, file, ...(line !== undefined && { line: Number(line) }) }
}

function sayTotal({ rows, accepted, left }: Total, words: Words): void {
  const [taken, out] = [formatCount(accepted), formatCount(left)]
  if (accepted === 0 && rows > 0) {
    process.stdout.write(`✗ ${words('什么也没有导入，原因见上', 'nothing was imported, see above')}\n`)
    process.exitCode = 1
  } else if (left > 0)
    process.stdout.write(
      `⚠ ${words(
        `已导入 ${taken} 条记录；${out} 行没有导入，原因见上`,
        `${taken} records imported; ${out} rows were left out, see above`,
      )}\n`,
    )
  else process.stdout.write(`✓ ${words(`已导入 ${taken} 条记录`, `${taken} records imported`)}\n`)
}

function renderReport({ encoding, rows, records, findings, source }: CsvReport, locale: 'zh' | 'en'): string {
  const words = bilingual(locale)
  const { columns } = process.stdout
  const figures = fitTable(
    columnsIn(words, ['文件', 'file'], ['数量', 'count', { align: 'right' }]),
    [
      [words('编码', 'encoding'), encoding],
      [words('行', 'rows'), formatCount(rows)],
      [words('记录', 'records'), formatCount(records)],
      ...(source === undefined
        ? []
        : SOURCE_FIELDS.filter((f) => f !== 'rows').map((field) => [
            nameOf(field)[locale],
            field === 'grossMinor' || field === 'netMinor'
              ? formatMinor(source[field], source.currency)
              : formatCount(source[field]),
          ])),
    ],
    columns,
  )
  if (findings.length === 0) return `${figures}\n${words('没有异常', 'nothing odd was found')}\n\n`
  return `${figures}\n${fitTable(
    columnsIn(
      words,
      ['发现', 'finding'],
      ['数量', 'count', { align: 'right' }],
      ['首见行', 'first line', { align: 'right' }],
    ),
    findings.map((f) => [inLanguage(f.label, locale), formatCount(f.count), formatCount(f.firstLine)]),
    columns,
  )}\n`
}
