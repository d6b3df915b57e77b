import { type Command, Option } from 'commander'
import type { WayAction } from '../domain/ways/plan.js'
import type { WayKind } from '../domain/ways/definition.js'
import type { WayRow } from '../services/wecom/apply-ways.js'
import type { ServiceOptions } from '../app/open-service.js'
import { renderTable } from '../print/table.js'
import { type CommandContext, configOption, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerWecomWays(wecom: Command, context: CommandContext): void {
  const pruneOption = () =>
    new Option('--prune', '删除不在文件里的活码和链接 · delete ways and links that are in no file').default(false)
  wecom
    .command('plan')
    .description('活码、群码、获客链接：与文件有何不同 · live codes, group codes, links: what differs from the files')
    .addOption(configOption())
    .addOption(pruneOption())
    .action(async (options: WithConfig & { prune: boolean }) =>
      planWaysCommand(serviceOptions(options, context), options.prune),
    )
  wecom
    .command('apply')
    .description('让企业微信与文件一致，重复执行无害 · make WeCom hold what the files say; repeating it is harmless')
    .addOption(configOption())
    .addOption(pruneOption())
    .action(async (options: WithConfig & { prune: boolean }) => {
      if (!(await applyWaysCommand(serviceOptions(options, context), options.prune))) process.exitCode = 1
    })
}

const KINDS: Readonly<Record<WayKind, string>> = { way: '活码 way', join_way: '群码 join way', link: '获客链接 link' }
const ACTIONS: Readonly<Record<WayAction, string>> = {
  create: '+ 新建 create',
  update: '~ 修改 update',
  unchanged: '  不变 unchanged',
  delete: '- 删除 delete',
  unmanaged: '? 不在文件里 in no file',
  blocked: '✗ 改不了 blocked',
}

/** `siyu wecom plan`: what `apply` would do. */
export async function planWaysCommand(options: ServiceOptions, prune: boolean): Promise<void> {
  const rows = await run(options, 'wecom/plan', prune)
  const changes = rows.filter((r) => ['create', 'update', 'delete'].includes(r.action)).length
  process.stdout.write(
    changes === 0
      ? '✓ 与文件一致 · WeCom holds what the files say\n'
      : `${changes} 处要改，执行 siyu wecom apply${prune ? ' --prune' : ''} · ${changes} to change\n`,
  )
}

/** `siyu wecom apply`: makes WeCom hold what the files say. Resolves to whether everything went well. */
export async function applyWaysCommand(options: ServiceOptions, prune: boolean): Promise<boolean> {
  const rows = await run(options, 'wecom/apply', prune)
  const failed = rows.filter((r) => r.result === 'failed')
  for (const r of failed) process.stdout.write(`✗ ${KINDS[r.kind]} ${r.id ?? r.remoteId}: ${r.reason}\n`)
  process.stdout.write(
    failed.length === 0
      ? '✓ 已生效 · applied\n'
      : `✗ ${failed.length} 项没有成功，改正后再执行一次 · correct them and apply again\n`,
  )
  return failed.length === 0
}

async function run(options: ServiceOptions, name: 'wecom/plan' | 'wecom/apply', prune: boolean): Promise<WayRow[]> {
  const { loadConfig } = await import('../config.js')
  const { loadWays } = await import('../services/definitions/load-ways.js')
  const { paths } = await loadConfig({ file: options.config, env: options.env })
  const files = await loadWays(paths.wecom)
  return withService(options, async (service) => {
    const rows = await service.call(name, { files, prune })
    process.stdout.write(renderWays(rows))
    return rows
  })
}

export function renderWays(rows: readonly WayRow[]): string {
  return renderTable(
    [
      { title: '类型 kind' },
      { title: 'id' },
      { title: '名称 name' },
      { title: '动作 action' },
      { title: '不同 differs' },
      { title: '地址 address' },
    ],
    rows.map((r) => [KINDS[r.kind], r.id ?? '', r.name, ACTIONS[r.action], r.changes.join(', '), r.address ?? '']),
  )
}
