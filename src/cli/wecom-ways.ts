import { type Command, Option } from 'commander'
import type { WayAction } from '../domain/ways/plan.js'
import type { WayKind } from '../domain/ways/definition.js'
import type { WayRow } from '../services/wecom/apply-ways.js'
import type { ServiceOptions } from '../app/open-service.js'
import { columnsIn, fitTable } from '../print/table.js'
import { type Bilingual, both } from '../print/words.js'
import { asCommand, bilingual, inLanguage } from '../said.js'
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

const KINDS: Readonly<Record<WayKind, Bilingual>> = {
  way: both('活码', 'way'),
  join_way: both('群码', 'join way'),
  link: both('获客链接', 'link'),
}
const ACTIONS: Readonly<Record<WayAction, [sign: string, Bilingual]>> = {
  create: ['+', both('新建', 'create')],
  update: ['~', both('修改', 'update')],
  unchanged: [' ', both('不变', 'unchanged')],
  delete: ['-', both('删除', 'delete')],
  unmanaged: ['?', both('不在文件里', 'in no file')],
  blocked: ['✗', both('改不了', 'blocked')],
}

type Ways = { rows: WayRow[]; locale: 'zh' | 'en' }

/** `siyu wecom plan`: what `apply` would do. */
export async function planWaysCommand(options: ServiceOptions, prune: boolean): Promise<void> {
  const { rows, locale } = await run(options, 'wecom/plan', prune)
  const words = bilingual(locale)
  const changes = rows.filter((r) => ['create', 'update', 'delete'].includes(r.action)).length
  const apply = asCommand(`siyu wecom apply${prune ? ' --prune' : ''}`)
  process.stdout.write(
    changes === 0
      ? `✓ ${words('与文件一致', 'WeCom holds what the files say')}\n`
      : `${words(`${changes} 处要改，执行`, `${changes} to change, by`)} ${apply}\n`,
  )
}

/** `siyu wecom apply`: makes WeCom hold what the files say. Resolves to whether everything went well. */
export async function applyWaysCommand(options: ServiceOptions, prune: boolean): Promise<boolean> {
  const { rows, locale } = await run(options, 'wecom/apply', prune)
  const words = bilingual(locale)
  const failed = rows.filter((r) => r.result === 'failed')
  for (const r of failed)
    process.stdout.write(`✗ ${KINDS[r.kind][locale]} ${r.id ?? r.remoteId}: ${inLanguage(r.reason ?? '', locale)}\n`)
  process.stdout.write(
    failed.length === 0
      ? `✓ ${words('已生效', 'applied')}\n`
      : `✗ ${words(`${failed.length} 项没有成功，改正后再执行一次`, `${failed.length} failed: correct them and apply again`)}\n`,
  )
  return failed.length === 0
}

async function run(options: ServiceOptions, name: 'wecom/plan' | 'wecom/apply', prune: boolean): Promise<Ways> {
  const { loadConfig } = await import('../config.js')
  const { loadWays } = await import('../services/definitions/load-ways.js')
  const { paths } = await loadConfig({ file: options.config, env: options.env })
  const files = await loadWays(paths.wecom)
  return withService(options, async (service) => {
    const rows = await service.call(name, { files, prune })
    const { locale } = service.config.brand
    process.stdout.write(renderWays(rows, locale))
    return { rows, locale }
  })
}

export function renderWays(rows: readonly WayRow[], locale: 'zh' | 'en'): string {
  return fitTable(
    columnsIn(
      bilingual(locale),
      ['类型', 'kind'],
      ['id', 'id'],
      ['名称', 'name'],
      ['动作', 'action'],
      ['不同', 'differs'],
      ['地址', 'address'],
    ),
    rows.map((r) => {
      const [sign, action] = ACTIONS[r.action]
      return [
        KINDS[r.kind][locale],
        r.id ?? '',
        r.name,
        `${sign} ${action[locale]}`,
        r.changes.join(', '),
        r.address ?? '',
      ]
    }),
    process.stdout.columns,
  )
}
