import { loadConfig } from '../config.js'
import { loadDefinitions } from '../services/definitions/load-definitions.js'
import type { Publication } from '../services/definitions/publish-definitions.js'
import { openService, type ServiceOptions } from '../app/open-service.js'
import { renderTable } from './table.js'

const CHANGES: Readonly<Record<Publication['change'], string>> = {
  new: '新 new',
  changed: '已改 changed',
  unchanged: '未变 unchanged',
  withdrawn: '已撤下 withdrawn',
}

/** `siyu publish`: checks the files and makes them live. */
export async function publishCommand(options: ServiceOptions): Promise<void> {
  // Before any store is opened, so that a mistake in a file changes nothing.
  await loadDefinitions((await loadConfig({ file: options.config, env: options.env })).paths)
  const service = await openService(options)
  try {
    const done = await service.call('publish', {})
    const columns = [
      { title: '旅程 journey' },
      { title: '版本 version', align: 'right' as const },
      { title: '变化 change' },
    ]
    process.stdout.write(
      renderTable(
        columns,
        done.map((d) => [d.id, String(d.version), CHANGES[d.change]]),
      ),
    )
    const where =
      service.url === undefined
        ? '下次启动时生效 · acts from the next start'
        : `运行中的服务已换用 · the service at ${service.url} runs it now`
    process.stdout.write(`✓ 已发布 · published；${where}\n`)
    if (done.some((d) => d.change === 'withdrawn')) {
      process.stdout.write(
        '撤下的旅程不再进新人，已在途中的照常走完 · a withdrawn journey takes nobody new; runs on their way go on\n',
      )
    }
  } finally {
    await service.close()
  }
}
