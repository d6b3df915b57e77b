import type { Command } from 'commander'
import { textOf } from '../domain/local-text.js'
import { elapsedMs, SECOND_MS } from '../time.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount, formatRatio } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { columnsIn, fitTable } from '../print/table.js'
import { bilingual } from '../said.js'
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
    const { locale } = service.config.brand
    const words = bilingual(locale)
    process.stdout.write(
      fitTable(
        columnsIn(
          words,
          ['标签', 'tag', { whole: true }],
          ['名称', 'name'],
          ['类型', 'type'],
          ['人数', 'profiles', { align: 'right', whole: true }],
          ['覆盖', 'share', { align: 'right', whole: true }],
          ['刷新', 'refresh'],
          ['负责', 'owner'],
          ['用途', 'purpose'],
        ),
        tags.map((t) => [
          t.id,
          textOf(t.name, locale),
          t.type,
          formatCount(t.profiles),
          formatRatio(profiles === 0 ? null : t.profiles / profiles),
          t.refresh,
          t.owner,
          t.purpose,
        ]),
        process.stdout.columns,
      ),
    )
    const people = formatCount(profiles)
    process.stdout.write(`${words(`${tags.length} 个标签，${people} 人`, `${tags.length} tags, ${people} profiles`)}\n`)
  })
}

/** `siyu tags refresh` */
export async function refreshTagsCommand(tags: readonly string[], options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const startedMs = elapsedMs()
    const { locale } = service.config.brand
    const words = bilingual(locale)
    const progress = createProgress({ stream: process.stderr, locale })
    progress.start(words('重算标签', 'refreshing tags'), 0)
    const done = await service.call('tags/refresh', { tags: [...tags] }, (profiles) => progress.set(profiles))
    progress.done()
    const took = ((elapsedMs() - startedMs) / SECOND_MS).toFixed(1)
    const [people, changes] = [formatCount(done.profiles), formatCount(done.changes)]
    process.stdout.write(
      `✓ ${words(
        `已刷新 ${done.tags} 个标签、${people} 人，${changes} 处变化，用时 ${took} s`,
        `refreshed ${done.tags} tags of ${people} profiles, ${changes} changes, in ${took} s`,
      )}\n`,
    )
  })
}
