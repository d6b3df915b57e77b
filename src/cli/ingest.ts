import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import type { ServiceOptions } from '../app/open-service.js'
import { InvalidInputError, messageOf } from '../errors.js'
import { parseInput, parseJson } from '../parse.js'
import { bilingual, inLanguage, said } from '../said.js'
import { formatCount } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { drain } from './drain.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerIngest(program: Command, context: CommandContext): void {
  const ingest = program
    .command('ingest')
    .description('放在一边的数据：看、改、重放 · data that was set aside: list, mend, replay')
  ingest
    .command('rejected')
    .description('什么没能处理、为什么；其余照常 · what could not be worked off, and why; all else goes on')
    .option(
      '--out <file>',
      '把记录写进文件去改，再 replay --file · write the records to a file, to mend and replay them',
    )
    .addOption(configOption())
    .addHelpText('after', examples('siyu ingest rejected', 'siyu ingest rejected --out rejected.json'))
    .action(async (options: WithConfig & { out?: string }) =>
      rejectedCommand(options.out, serviceOptions(options, context)),
    )
  ingest
    .command('replay')
    .description('再试一次，重复无害 · try again; repeating it is harmless')
    .argument('[ids...]', '哪些，见 siyu ingest rejected · which of them')
    .option('--all', '全部 · all of them', false)
    .option('--file <file>', 'rejected --out 写的文件，改过的照改过的来 · the file of rejected --out, as it was mended')
    .addOption(configOption())
    .addHelpText('after', examples('siyu ingest replay --all', 'siyu ingest replay --file rejected.json'))
    .action(async (ids: string[], options: WithConfig & { all: boolean; file?: string }) =>
      replayCommand({ ids, all: options.all, file: options.file }, serviceOptions(options, context)),
    )
}

/** `siyu ingest rejected` */
export async function rejectedCommand(out: string | undefined, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { locale, timeZone } = service.config.brand
    const words = bilingual(locale)
    const list = (query: object) => service.call('ingest/rejected', query)
    if (out !== undefined) {
      const { listAllRejected } = await import('../services/ingest/rejected.js')
      const items = await listAllRejected(list)
      const records = items.flatMap(({ id, reason, record }) => (record === undefined ? [] : [{ id, reason, record }]))
      // It may hold what the records say of customers.
      await writeFile(out, `${JSON.stringify(records, null, 2)}\n`, { mode: 0o600 })
      const n = formatCount(records.length)
      process.stdout.write(`✓ ${words(`${n} 条记录写进`, `${n} records are in`)} ${out}\n`)
      return
    }
    const { count, items } = await list({})
    if (count === 0) {
      process.stdout.write(`${words('没有放在一边的', 'nothing is set aside')}\n`)
      return
    }
    const rows = items.map(({ id, at, source, ref, profileId, table, reason }) => [
      formatAt(at, timeZone),
      id,
      ref !== undefined
        ? `${source} ${ref}`
        : profileId !== undefined
          ? `${words('档案', 'profile')} ${profileId}`
          : (table ?? ''),
      inLanguage(reason, locale),
    ])
    process.stdout.write(
      fitTable(
        columnsIn(
          words,
          ['时间', 'at', { whole: true }],
          ['id', 'id', { whole: true }],
          ['来自', 'from'],
          ['原因', 'reason'],
        ),
        rows,
        process.stdout.columns,
      ),
    )
    const [all, shown] = [formatCount(count), formatCount(items.length)]
    const more = count > items.length ? words(`，以上是最早的 ${shown} 项`, `, above are the oldest ${shown}`) : ''
    process.stdout.write(`${words(`共 ${all} 项`, `${all} in all`)}${more}\n`)
    const ways = [
      words(
        '改记录：siyu ingest rejected --out rejected.json',
        'mend records: siyu ingest rejected --out rejected.json',
      ),
      words('改好后：siyu ingest replay --file rejected.json', 'then: siyu ingest replay --file rejected.json'),
      words('原因没有了：siyu ingest replay --all', 'when the reason is gone: siyu ingest replay --all'),
    ]
    process.stdout.write(ways.map((way) => `${way}\n`).join(''))
  })
}

const MendedFile = z
  .array(z.object({ id: z.string(), record: z.unknown() }))
  .describe(said('`siyu ingest rejected --out` 写的', 'what `siyu ingest rejected --out` wrote'))

type Replay = { ids: readonly string[]; all: boolean; file: string | undefined }

/** `siyu ingest replay` */
export async function replayCommand({ ids, all, file }: Replay, options: ServiceOptions): Promise<void> {
  if ([ids.length > 0, all, file !== undefined].filter(Boolean).length !== 1)
    throw new InvalidInputError(said('重放哪些？', 'Which of them?'), [
      {
        path: '',
        message: said('要说明哪些', 'say which'),
        hint: said('给 id、--all 或 --file 之一', 'give ids, --all or --file'),
      },
    ])
  const mended = file === undefined ? undefined : await readMended(file)
  await withService(options, async (service) => {
    const { AT_A_TIME, listAllRejected } = await import('../services/ingest/rejected.js')
    const listed = all ? await listAllRejected((query) => service.call('ingest/rejected', query)) : []
    const items = mended ?? (all ? listed.map(({ id }) => ({ id })) : ids.map((id) => ({ id })))
    let replayed = 0
    for (let i = 0; i < items.length; i += AT_A_TIME)
      replayed += (await service.call('ingest/replay', { items: items.slice(i, i + AT_A_TIME) })).replayed
    const { locale } = service.config.brand
    const words = bilingual(locale)
    const progress = createProgress({ stream: process.stderr, locale })
    if (!(await drain(service, progress))) return
    const { count } = await service.call('ingest/rejected', {})
    const [done, left] = [formatCount(replayed), formatCount(count)]
    process.stdout.write(`✓ ${words(`重放了 ${done} 项`, `replayed ${done}`)}\n`)
    if (count > 0) process.stdout.write(`⚠ ${words(`还有 ${left} 项放在一边`, `${left} are set aside still`)}\n`)
  })
}

async function readMended(file: string): Promise<{ id: string; record: unknown }[]> {
  let value: unknown
  try {
    value = parseJson(await readFile(file, 'utf8'))
  } catch (err) {
    throw new InvalidInputError(said('文件读不了', 'the file cannot be read'), [
      {
        file,
        path: '',
        message: messageOf(err),
        hint: said('用 siyu ingest rejected --out 写的 JSON', 'give the JSON that siyu ingest rejected --out wrote'),
      },
    ])
  }
  return parseInput(MendedFile, value, said(`${file} 不能用`, `${file} cannot be used`)).map(({ id, record }) => ({
    id,
    record,
  }))
}
