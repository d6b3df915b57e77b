import type { Command } from 'commander'
import { textOf } from '../domain/local-text.js'
import { elapsedMs, SECOND_MS } from '../time.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount, formatRatio } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { renderTable } from '../print/table.js'
import { registerExplain } from './explain.js'
import { withService } from './with-service.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'

export function registerTags(program: Command, context: CommandContext): void {
  const tags = program.command('tags').description('标签：列表、刷新、解释 · tags: list, refresh, explain')
  tags
    .command('list', { isDefault: true })
    .description('全部标签和覆盖率 · every tag with its coverage')
    .addOption(configOption())
    .action(async (options: WithConfig) => listTagsCommand(serviceOptions(options, context)))
  tags
    .command('refresh')
    .description('现在重算，默认全部 · compute now, all of them by default')
    .option('--tag <id...>', '只算这些 · only these', [])
    .addOption(configOption())
    .addHelpText('after', examples('siyu tags refresh', 'siyu tags refresh --tag rfm_class intent'))
    .action(async (options: WithConfig & { tag: string[] }) =>
      refreshTagsCommand(options.tag, serviceOptions(options, context)),
    )
  registerExplain(tags, context, {
    description:
      '一个人为什么是这个值：每个条件和背后的数字 · why a person has this value: each clause with its figure',
    argument: ['<tag>', '标签 id · tag id'],
    examples: [
      'siyu tags explain rfm_class --member 13085',
      'siyu tags explain lifecycle_stage --profile 42 --as-of 2026-11-01T10:00',
    ],
    ask: (service, tag, of) => service.call('tags/explain', { tag, ...of }),
  })
}

/** `siyu tags list` */
export async function listTagsCommand(options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { profiles, tags } = await service.call('tags', {})
    const columns = [
      { title: '标签 tag' },
      { title: '名称 name' },
      { title: '类型 type' },
      { title: '人数 profiles', align: 'right' as const },
      { title: '覆盖 coverage', align: 'right' as const },
      { title: '刷新 refresh' },
      { title: '负责 owner' },
      { title: '用途 purpose' },
    ]
    const rows = tags.map((t) => [
      t.id,
      textOf(t.name, service.config.brand.locale),
      t.type,
      formatCount(t.profiles),
      formatRatio(profiles === 0 ? null : t.profiles / profiles),
      t.refresh,
      t.owner,
      t.purpose,
    ])
    process.stdout.write(renderTable(columns, rows))
    process.stdout.write(
      `${tags.length} 个标签，${formatCount(profiles)} 人 · ${tags.length} tags, ${formatCount(profiles)} profiles\n`,
    )
  })
}

/** `siyu tags refresh` */
export async function refreshTagsCommand(tags: readonly string[], options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const startedMs = elapsedMs()
    const progress = createProgress({ stream: process.stderr, locale: service.config.brand.locale })
    progress.start('重算标签 · refreshing tags', 0)
    const done = await service.call('tags/refresh', { tags: [...tags] }, (profiles) => progress.set(profiles))
    progress.done()
    const took = ((elapsedMs() - startedMs) / SECOND_MS).toFixed(1)
    process.stdout.write(
      `✓ 已刷新 ${done.tags} 个标签、${formatCount(done.profiles)} 人，${formatCount(done.changes)} 处变化，用时 ${took} s · ` +
        `refreshed ${done.tags} tags of ${formatCount(done.profiles)} profiles, ${formatCount(done.changes)} changes\n`,
    )
  })
}
