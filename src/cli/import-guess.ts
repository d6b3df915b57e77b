import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { NoGuess } from '../../connectors/csv/guess.js'
import type { Config, Env } from '../config.js'
import { isOwnSource } from '../domain/events/sources.js'
import { formatProblem, InvalidInputError, type Problem } from '../errors.js'
import { hashKey } from '../random.js'
import { formatMinor } from '../print/numbers.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { asCommand, bilingual, type Words } from '../said.js'
import { problemsFound } from './check.js'

/** Rows that are looked at, and records that are shown. */
const LOOKED_AT = 200
const SHOWN = 5

/**
 * `siyu import --guess`: writes the mapping of a CSV file beside the configuration and shows what five rows would be; nothing is
 * imported.
 *
 * @throws {InvalidInputError} when the file cannot be read or understood, or a mapping of that name is there; nothing is written then
 */
export async function guessCommand(
  file: string,
  configFile: string,
  env: Env,
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<void> {
  const { loadConfig } = await import('../config.js')
  const { guessMapping } = await import('../../connectors/csv/guess.js')
  const { readFirstRows } = await import('../../connectors/csv/index.js')
  const { loadYaml } = await import('../yaml-file.js')
  const { IdentityConfig } = await import('../domain/identity/config.js')
  const { brand, paths } = await loadConfig({ file: configFile, env })
  const words = bilingual(brand.locale)
  const [header = [], ...rows] = await readFirstRows(resolve(file), LOOKED_AT)
  const source = sourceOf(file)
  const mappingFile = join(dirname(configFile), 'sources', `${source}.yaml`)
  const guess = guessMapping(header, rows, {
    source,
    file: relative(dirname(mappingFile), file),
    timeZone: brand.timeZone,
    currency: brand.currency,
    identifierTypes: (await loadYaml(IdentityConfig, paths.identity)).identifiers.map(({ type }) => type),
  })
  if ('missing' in guess) throw notUnderstood(file, guess, words)
  const text = [
    // Names of columns may hold line breaks.
    ...comments(file, guess.unused, words).map((line) => `# ${line.replace(/\s+/g, ' ')}\n`),
    stringify(guess.mapping, { lineWidth: 0 }),
  ].join('')
  await mkdir(dirname(mappingFile), { recursive: true })
  try {
    await writeFile(mappingFile, text, { flag: 'wx' })
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw err
    const use = asCommand(`siyu import ${mappingFile} --file ${file}`)
    const hint = words(
      `同一个来源的下一份文件用它：${use}；要重新猜就先改名或删掉它`,
      `the next file of one source goes through it: ${use}; rename or delete it to guess anew`,
    )
    const message = words('已经有这个映射', 'is there already')
    throw new InvalidInputError('siyu import --guess', [{ file: mappingFile, path: '', message, hint }])
  }
  write(`${words(`✓ 已写好映射 ${mappingFile}`, `✓ The mapping is written: ${mappingFile}`)}\n\n${text}\n`)
  await show(mappingFile, { brand, write })
  write(
    `\n${words('对就导入，不对先改映射：', 'Import it, or correct the mapping first:')}\n  $ ${asCommand(`siyu import ${mappingFile}`)}\n`,
  )
}

async function show(
  mappingFile: string,
  {
    brand: { locale, timeZone, currency },
    write,
  }: { brand: Pick<Config['brand'], 'locale' | 'timeZone' | 'currency'>; write: (text: string) => void },
): Promise<void> {
  const { loadCsvMapping } = await import('../../connectors/csv/mapping.js')
  const { checkCsvFile, readCsvRecords } = await import('../../connectors/csv/index.js')
  const loaded = await loadCsvMapping(mappingFile)
  const unfit = await checkCsvFile(loaded)
  if (unfit.length > 0) throw problemsFound(unfit)
  const problems: Problem[] = []
  const shown = []
  for await (const batch of readCsvRecords(loaded, { onProblem: (problem) => problems.push(problem) })) {
    shown.push(...batch.slice(0, SHOWN - shown.length))
    if (shown.length === SHOWN) break
  }
  write(
    fitTable(
      columnsIn(
        bilingual(locale),
        ['出处', 'from'],
        ['时间', 'at', { whole: true }],
        ['谁', 'who'],
        ['事件', 'event'],
        ['金额', 'amount', { align: 'right' }],
        ['属性', 'traits'],
      ),
      shown.map(({ ref, observedAt, identifiers, events = [], traits = {} }) => [
        ref,
        formatAt(observedAt, timeZone),
        identifiers.map(({ type, value }) => `${type}:${value}`).join(' '),
        events.map(({ name }) => name).join(' '),
        events
          .map(({ amountMinor }) => (amountMinor === undefined ? '' : formatMinor(amountMinor, currency)))
          .join(' '),
        Object.entries(traits)
          .map(([name, value]) => `${name}=${String(value)}`)
          .join(' '),
      ]),
      process.stdout.columns,
    ),
  )
  for (const problem of problems.slice(0, SHOWN)) write(`! ${formatProblem(problem, locale)}\n`)
}

/**
 * `Shop-Orders-2026-11.csv` is of the source `shop-orders`, as is the file of any other month: an order that two files hold is one.
 * `2026 订单.csv.gz` is of one that is `csv-` and a mark of its name, as is a file that has a name of ours.
 */
export function sourceOf(file: string): string {
  const undated = basename(file)
    .replace(/(\.csv|\.txt|\.tsv)?(\.gz)?$/i, '')
    .replace(DATE, '')
  const name = undated
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/[-_]{2,}/g, '-')
    .replace(/^[^a-z]+|[-_]+$/g, '')
  return name === '' || isOwnSource(name) ? `csv-${hashKey(6, undated.trim())}` : name
}

/** A year, or a month or a day of one: `2026`, `2026-11`, `20261130`, `2026年11月`. */
const DATE = /(?<!\d)(?:19|20)\d{2}(?:[-_.年]?(?:1[0-2]|0?[1-9])(?:[-_.月]?(?:3[01]|[12]\d|0?[1-9]))?)?[年月日]?(?!\d)/g

function comments(file: string, unused: readonly string[], words: Words): string[] {
  const made = words(
    `按 ${basename(file)} 的列名和前 ${LOOKED_AT} 行猜的，请核对；每个字段的意思见 schemas/source.schema.json。`,
    `Guessed from the columns and the first ${LOOKED_AT} rows of ${basename(file)}; schemas/source.schema.json describes every field.`,
  )
  if (unused.length === 0) return [made]
  return [made, words(`没有用到的列：${unused.join('、')}`, `Columns that are left out: ${unused.join(', ')}`)]
}

function notUnderstood(file: string, { missing, header }: NoGuess, words: Words): InvalidInputError {
  const messages = {
    rows: words('没有数据行', 'holds no rows'),
    who: words(
      '看不出是谁：没有会员号、手机号、unionid 之类的列',
      'tells nobody: no column of a member number, a phone number, a unionid',
    ),
    time: words('有订单号，但看不出哪一列是时间', 'has order numbers, but no column that is a time'),
    amount: words('有订单号，但看不出哪一列是金额', 'has order numbers, but no column that is an amount'),
  }
  const hint = words(
    `列有：${header.join('、')}；改列名再试，或照 examples/gift-shop/config/sources 手写映射`,
    `it has: ${header.join(', ')}; rename columns, or write a mapping after examples/gift-shop/config/sources`,
  )
  return new InvalidInputError('siyu import --guess', [{ file, path: '', message: messages[missing], hint }])
}
