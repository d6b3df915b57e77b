import { type Command, Option } from 'commander'
import type { Publication } from '../services/definitions/publish-definitions.js'
import type { Service, ServiceOptions } from '../app/open-service.js'
import { columnsIn, fitTable } from '../print/table.js'
import { type Bilingual, both } from '../print/words.js'
import { bilingual, type Words } from '../said.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerPublish(program: Command, context: CommandContext): void {
  program
    .command('publish')
    .description('检查后让旅程和其他定义生效 · check, then make journeys and all other definitions live')
    .addOption(configOption())
    .option(
      '--correct <content...>',
      '同时更正：在途的旅程也改用这些内容的新版本 · also for runs on their way, which keep all other contents',
    )
    .addOption(
      new Option(
        '--withdraw <content...>',
        '只撤回这些内容，谁都不再收到；文件不动 · nobody is sent these contents any more; no file is published',
      ).conflicts('correct'),
    )
    .addHelpText(
      'after',
      examples('siyu publish', 'siyu publish --correct vip-hello', 'siyu publish --withdraw vip-hello'),
    )
    .action(async ({ correct, withdraw, ...options }: WithConfig & PublishChoice) =>
      publishCommand(serviceOptions(options, context), { correct, withdraw }),
    )
}

type PublishChoice = { correct?: readonly string[] | undefined; withdraw?: readonly string[] | undefined }

const CHANGES: Readonly<Record<Publication['change'], Bilingual>> = {
  new: both('新', 'new'),
  changed: both('已改', 'changed'),
  unchanged: both('未变', 'unchanged'),
  withdrawn: both('已撤下', 'withdrawn'),
  corrected: both('已更正，在途的也换用', 'corrected, for runs on their way too'),
}

/** `siyu publish`: checks the files and makes them live; or withdraws contents. */
export async function publishCommand(
  options: ServiceOptions,
  { correct = [], withdraw = [] }: PublishChoice = {},
): Promise<void> {
  if (withdraw.length > 0) return withdrawCommand(options, withdraw)
  const { loadConfig } = await import('../config.js')
  const { loadDefinitions, textsOf } = await import('../services/definitions/load-definitions.js')
  // Before any store is opened, so that a mistake in a file changes nothing.
  const config = await loadConfig({ file: options.config, env: options.env })
  await loadDefinitions(config.paths, textsOf(config))
  const { definitionKinds } = await import('../services/definitions/kinds.js')
  await withService(options, async (service) => {
    const done = await service.call('publish', { correct: [...correct] })
    const journeys = done.filter((d) => d.kind === 'journeys')
    const others = done.filter((d) => d.kind !== 'journeys' && d.change !== 'unchanged')
    const { locale } = service.config.brand
    const words = bilingual(locale)
    process.stdout.write(
      fitTable(
        columnsIn(words, ['旅程', 'journey'], ['版本', 'version', { align: 'right' }], ['变化', 'change']),
        journeys.map((d) => [d.id, String(d.version), CHANGES[d.change][locale]]),
        process.stdout.columns,
      ),
    )
    for (const { kind, id, version, change } of others) {
      const name = `${definitionKinds[kind].words[locale]}${id === 'all' ? '' : ` ${id}`}`
      const { zh, en } = CHANGES[change]
      process.stdout.write(`${words(`${name}：第 ${version} 版，${zh}`, `${name}: version ${version}, ${en}`)}\n`)
    }
    process.stdout.write(`✓ ${words('已发布', 'published')}${words('；', '; ')}${whereOf(service, words)}\n`)
    if (journeys.some((d) => d.change === 'withdrawn'))
      process.stdout.write(
        `${words(
          '撤下的旅程不再进新人，已在途中的照常走完',
          'a withdrawn journey takes nobody new; runs on their way go on',
        )}\n`,
      )
  })
}

async function withdrawCommand(options: ServiceOptions, withdraw: readonly string[]): Promise<void> {
  await withService(options, async (service) => {
    await service.call('publish', { withdraw: [...withdraw] })
    const words = bilingual(service.config.brand.locale)
    const names = withdraw.join(', ')
    process.stdout.write(
      `✓ ${words(
        `已撤回：${names}；还没送到的都停下，旅程照常往下走`,
        `withdrawn: ${names}; what has not arrived is stopped, runs go on`,
      )}\n${words('改好后：', 'once it is mended: ')}siyu publish --correct ${withdraw.join(' ')}\n`,
    )
  })
}

function whereOf({ url, shared }: Pick<Service, 'url' | 'shared'>, words: Words): string {
  if (url !== undefined) return words('运行中的服务已换用', `the service at ${url} runs it now`)
  return shared
    ? words('各进程从下一件工作起换用', 'every process works by it from its next piece of work')
    : words('下次启动时生效', 'acts from the next start')
}
