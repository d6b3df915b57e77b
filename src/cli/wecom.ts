import { drain } from './drain.js'
import { openService, type ServiceOptions } from '../app/open-service.js'
import { createProgress } from './progress.js'
import { formatCount } from './report-text.js'
import { renderTable } from './table.js'

/** `siyu wecom sync`: reads members, tags, every follow relation and groups; one that was broken off goes on. */
export async function syncWecomCommand(options: ServiceOptions): Promise<void> {
  const service = await openService(options)
  const progress = createProgress({ stream: process.stderr, locale: service.config.brand.locale })
  try {
    const { relations } = await service.call('wecom/known', {})
    progress.start('读取好友关系 · reading follow relations', relations)
    const result = await service.call('wecom/sync', {}, (done) => progress.set(done))
    progress.done()
    if (!(await drain(service, progress))) return
    const rows: [string, number][] = [
      ['成员 members', result.members],
      ['好友关系 follow relations', result.relations],
      ['  新增或变化 new or changed', result.changed],
      ['  已结束 ended', result.ended],
      ['客户群 groups', result.groups],
      ['企业标签 corp tags', result.tags],
    ]
    process.stdout.write(
      renderTable(
        [{ title: '已同步 synchronised' }, { title: '数量 number', align: 'right' }],
        rows.map(([what, n]) => [what, formatCount(n)]),
      ),
    )
  } finally {
    await service.close()
  }
}
