import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type CsvReport, readCsvRecords } from '../../connectors/csv/index.js'
import { type LoadedMapping, loadCsvMapping } from '../../connectors/csv/mapping.js'
import { loadConfig } from '../config.js'
import { SourceRecord } from '../domain/events/record.js'
import { formatProblem, InvalidInputError, type Problem } from '../errors.js'
import { parseInput } from '../parse.js'
import { checkSources, problemsFound } from './check.js'
import { drain } from './drain.js'
import { openService, type Service, type ServiceOptions } from '../app/open-service.js'
import { createProgress, type Progress } from './progress.js'
import { formatCount, formatMinor, nameOf, SOURCE_FIELDS } from './report-text.js'
import { renderTable } from './table.js'

const SHOWN_PROBLEMS = 10

/**
 * `siyu import`: reads CSV files through their mappings, hands the records over in batches and waits until they are worked
 * off. Batches are keyed by the content of file and mapping, so repeating it is harmless.
 */
export async function importCommand(mappings: readonly string[], options: ServiceOptions): Promise<void> {
  const config = await loadConfig({ file: options.config, env: options.env })
  const files = mappings.length > 0 ? mappings : config.sources
  if (files.length === 0) {
    throw new InvalidInputError('没有要导入的 · nothing to import', [
      {
        file: options.config,
        path: 'sources',
        message: '是空的 is empty',
        hint: '写上映射文件，或 siyu import config/sources/members.yaml；name mapping files there, or give them here',
      },
    ])
  }
  // All of them before the first record of any.
  const problems = await checkSources(files, config)
  if (problems.length > 0) throw problemsFound(problems)
  const progress = createProgress({ stream: process.stderr, locale: config.brand.locale })
  const service = await openService(options)
  try {
    for (const file of files) await importFile(await loadCsvMapping(file), service, progress, options.signal)
    if (await drain(service, progress)) process.stdout.write('✓ 已导入 · imported\n')
  } finally {
    await service.close()
  }
}

async function importFile(
  loaded: LoadedMapping,
  service: Service,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const problems: Problem[] = []
  const reports: CsvReport[] = []
  const content = await contentKey(loaded)
  let [records, n] = [0, 0]
  progress.start(`读取 · reading ${loaded.mapping.file}`, 0)
  const batches = readCsvRecords(loaded, {
    onProblem: (p) => problems.push(p),
    onReport: (r) => reports.push(r),
    ...(signal === undefined ? {} : { signal }),
  })
  for await (const batch of batches) {
    await service.accept(
      `import:${content}:${n++}`,
      batch.map((record) => parseInput(SourceRecord, record)),
    )
    records += batch.length
    progress.set(records)
  }
  progress.done()
  for (const report of reports) process.stdout.write(renderReport(report))
  for (const problem of problems.slice(0, SHOWN_PROBLEMS)) process.stderr.write(`${formatProblem(problem)}\n`)
  if (problems.length > SHOWN_PROBLEMS) {
    process.stderr.write(`… 共 ${problems.length} 个问题 · ${problems.length} problems in all\n`)
  }
}

function renderReport({ rows, records, findings, source }: CsvReport): string {
  const figures = renderTable(
    [{ title: '文件 file' }, { title: '数量 count', align: 'right' }],
    [
      ['行 rows', formatCount(rows)],
      ['记录 records', formatCount(records)],
      ...(source === undefined
        ? []
        : SOURCE_FIELDS.filter((f) => f !== 'rows').map((field) => [
            `${nameOf(field).zh} ${nameOf(field).en}`,
            field === 'grossMinor' || field === 'netMinor'
              ? formatMinor(source[field], source.currency)
              : formatCount(source[field]),
          ])),
    ],
  )
  if (findings.length === 0) return `${figures}\n没有异常 · nothing odd was found\n\n`
  const columns = [
    { title: '发现 finding' },
    { title: '数量 count', align: 'right' as const },
    { title: '首见行 first line', align: 'right' as const },
  ]
  return `${figures}\n${renderTable(
    columns,
    findings.map((f) => [f.label, formatCount(f.count), formatCount(f.firstLine)]),
  )}\n`
}

/** The same bytes through the same mapping are the same import. */
async function contentKey({ dataFile, mapping }: LoadedMapping): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(mapping))
  for await (const chunk of createReadStream(dataFile)) hash.update(chunk as Buffer)
  return hash.digest('hex').slice(0, 32)
}
