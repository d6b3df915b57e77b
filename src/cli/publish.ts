import type { Command } from 'commander'
import type { Publication } from '../services/definitions/publish-definitions.js'
import type { Service, ServiceOptions } from '../app/open-service.js'
import { renderTable } from './print/table.js'
import { type CommandContext, configOption, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerPublish(program: Command, context: CommandContext): void {
  program
    .command('publish')
    .description('检查后让旅程和其他定义生效 · check, then make journeys and all other definitions live')
    .addOption(configOption())
    .action(async (options: WithConfig) => publishCommand(serviceOptions(options, context)))
}

const CHANGES: Readonly<Record<Publication['change'], string>> = {
  new: '新 new',
  changed: '已改 changed',
  unchanged: '未变 unchanged',
  withdrawn: '已撤下 withdrawn',
}

/** `siyu publish`: checks the files and makes them live. */
export async function publishCommand(options: ServiceOptions): Promise<void> {
  const { loadConfig } = await import('../config.js')
  const { loadDefinitions } = await import('../services/definitions/load-definitions.js')
  // Before any store is opened, so that a mistake in a file changes nothing.
  await loadDefinitions((await loadConfig({ file: options.config, env: options.env })).paths)
  const { definitionKinds } = await import('../services/definitions/kinds.js')
  await withService(options, async (service) => {
    const done = await service.call('publish', {})
    const journeys = done.filter((d) => d.kind === 'journeys')
    const others = done.filter((d) => d.kind !== 'journeys' && d.change !== 'unchanged')
    const columns = [
      { title: '旅程 journey' },
      { title: '版本 version', align: 'right' as const },
      { title: '变化 change' },
    ]
    process.stdout.write(
      renderTable(
        columns,
        journeys.map((d) => [d.id, String(d.version), CHANGES[d.change]]),
      ),
    )
    for (const { kind, version, change } of others) {
      const { zh, en } = definitionKinds[kind].words
      process.stdout.write(`${zh} ${en}：第 ${version} 版 version ${version}，${CHANGES[change]}\n`)
    }
    process.stdout.write(`✓ 已发布 · published；${whereOf(service)}\n`)
    if (journeys.some((d) => d.change === 'withdrawn')) {
      process.stdout.write(
        '撤下的旅程不再进新人，已在途中的照常走完 · a withdrawn journey takes nobody new; runs on their way go on\n',
      )
    }
  })
}

function whereOf({ url, shared }: Pick<Service, 'url' | 'shared'>): string {
  if (url !== undefined) return `运行中的服务已换用 · the service at ${url} runs it now`
  return shared
    ? '各进程从下一件工作起换用 · every process works by it from its next piece of work'
    : '下次启动时生效 · acts from the next start'
}
