import type { Command } from 'commander'
import { drain } from './drain.js'
import type { ServiceOptions } from '../app/open-service.js'
import { createProgress } from '../print/progress.js'
import { formatCount } from '../print/numbers.js'
import { columnsIn, renderTable } from '../print/table.js'
import { bilingual } from '../said.js'
import { type CommandContext, configOption, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerWecomSync(wecom: Command, context: CommandContext): void {
  wecom
    .command('sync')
    .description('拉取全部客户 · pull every contact')
    .addOption(configOption())
    .action(async (options: WithConfig) => syncWecomCommand(serviceOptions(options, context)))
}

/** `siyu wecom sync`: reads members, tags, every follow relation and groups; one that was broken off goes on. */
export async function syncWecomCommand(options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { locale } = service.config.brand
    const words = bilingual(locale)
    const progress = createProgress({ stream: process.stderr, locale })
    const { relations } = await service.call('wecom/known', {})
    progress.start(words('读取好友关系', 'reading follow relations'), relations)
    const result = await service.call('wecom/sync', {}, (done) => progress.set(done))
    progress.done()
    if (!(await drain(service, progress))) return
    const rows: [string, number][] = [
      [words('成员', 'members'), result.members],
      [words('好友关系', 'follow relations'), result.relations],
      [`  ${words('新增或变化', 'new or changed')}`, result.changed],
      [`  ${words('已结束', 'ended')}`, result.ended],
      [words('客户群', 'groups'), result.groups],
      [words('企业标签', 'corp tags'), result.tags],
    ]
    process.stdout.write(
      renderTable(
        columnsIn(words, ['已同步', 'synchronised'], ['数量', 'number', { align: 'right' }]),
        rows.map(([what, n]) => [what, formatCount(n)]),
      ),
    )
  })
}
