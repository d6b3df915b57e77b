import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import { textOf } from '../domain/local-text.js'
import { formatCount } from '../print/numbers.js'
import { fitTable, formatAt } from '../print/table.js'
import { nameOf } from '../print/words.js'
import { bilingual } from '../said.js'
import { type CommandContext, configOption, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerStatus(program: Command, context: CommandContext): void {
  program
    .command('status')
    .description('现在怎么样：人、事件、旅程、发送 · how things stand: people, events, journeys, sends')
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .action(async (options: WithConfig & { json: boolean }) =>
      statusCommand(options.json, serviceOptions(options, context)),
    )
}

/** `siyu status` */
export async function statusCommand(json: boolean, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const status = await service.call('status', {})
    if (json) return void process.stdout.write(`${JSON.stringify(status, null, 2)}\n`)
    const { brand, dataDir } = service.config
    const words = bilingual(brand.locale)
    const name = (key: string) => words(nameOf(key).zh, nameOf(key).en)
    const { sending, waiting, stuck } = status
    const since = sending.since === undefined ? '' : formatAt(sending.since, brand.timeZone)
    const running =
      service.url === undefined
        ? words(`没有运行（数据在 ${dataDir}）`, `not running (data in ${dataDir})`)
        : words(`运行在 ${service.url}`, `running at ${service.url}`)
    const lines: [string, string][] = [
      [words('服务', 'service'), running],
      [
        words('发送', 'sending'),
        sending.stopped
          ? words(`已停发，自 ${since}（siyu send resume 恢复）`, `stopped since ${since} (siyu send resume)`)
          : `sending.mode = ${sending.mode}`,
      ],
      [words('人', 'people'), formatCount(status.people)],
      [words('事件', 'events'), formatCount(status.events)],
      [
        words('等待处理', 'waiting'),
        words(
          `${formatCount(waiting.batches)} 批数据，${formatCount(waiting.callbacks)} 个回调`,
          `${formatCount(waiting.batches)} batches, ${formatCount(waiting.callbacks)} callbacks`,
        ),
      ],
      [
        words('触达', 'touches'),
        Object.entries(status.touches)
          .map(([state, n]) => `${name(state)} ${formatCount(n)}`)
          .join(words('，', ', ')) || '0',
      ],
      [words('待办任务', 'open tasks'), formatCount(status.openTasks)],
      [
        words('卡住的', 'stuck'),
        stuck.runs + stuck.documents === 0
          ? '0'
          : words(
              `${formatCount(stuck.runs)} 个旅程，${formatCount(stuck.documents)} 个文档（siyu doctor）`,
              `${formatCount(stuck.runs)} runs, ${formatCount(stuck.documents)} documents (siyu doctor)`,
            ),
      ],
    ]
    process.stdout.write(
      fitTable([{ title: brand.name }, { title: formatAt(status.at, brand.timeZone) }], lines, process.stdout.columns),
    )
    if (status.journeys.length === 0) return
    process.stdout.write(
      `\n${fitTable(
        [
          { title: words('旅程', 'journey') },
          { title: words('版本', 'version'), align: 'right' },
          { title: name('entered'), align: 'right' },
          { title: words('进行中', 'on the way'), align: 'right' },
          { title: name('heldOut'), align: 'right' },
          { title: words('名称', 'name') },
        ],
        status.journeys.map((j) => [
          j.id,
          String(j.version),
          formatCount(j.entered),
          formatCount(j.waiting),
          formatCount(j.heldOut),
          textOf(j.name, brand.locale),
        ]),
        process.stdout.columns,
      )}`,
    )
  })
}
