import { resolve } from 'node:path'
import type { Command } from 'commander'
import { moveBackup, targetOf } from '../app/backup-target.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { fitTable, formatAt } from '../print/table.js'
import { bilingual } from '../said.js'
import { type CommandContext, configOption, examples, languageOf, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

type BackupCommand = { list: boolean; json: boolean }

export function registerBackup(program: Command, context: CommandContext): void {
  program
    .command('backup')
    .description('备份全部数据，服务不用停 · copies all data, while the service runs')
    .argument('[to]', '文件或目录，默认数据目录里的 backups · a file or folder; default: backups in the data directory')
    .option('--list', '做过哪些备份 · which backups were made', false)
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .addHelpText('after', examples('siyu backup', 'siyu backup /mnt/nas/', 'siyu backup --list'))
    .action(async (to: string | undefined, options: WithConfig & BackupCommand) =>
      options.list
        ? listCommand(options.json, serviceOptions(options, context))
        : backupCommand(to, options.json, serviceOptions(options, context)),
    )
}

export function registerRestore(program: Command, context: CommandContext): void {
  program
    .command('restore')
    .description('把备份恢复到空的存储，任何种类 · fills empty stores, of any kind, with a backup')
    .argument('<file>', '备份文件 · the file of a backup')
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .addHelpText('after', examples('siyu restore /mnt/nas/siyu-20261130T203000Z-1a2b3c4d.tar'))
    .action(async (file: string, { config, json }: WithConfig & { json: boolean }) =>
      restoreCommand(file, json, { config, env: context.env }),
    )
}

/** `siyu backup` */
export async function backupCommand(to: string | undefined, json: boolean, options: ServiceOptions): Promise<void> {
  const target = to === undefined ? undefined : await targetOf(to)
  await withService(options, async (service) => {
    const { locale } = service.config.brand
    const words = bilingual(locale)
    const progress = createProgress({ stream: process.stderr, locale })
    progress.start(words('备份', 'backing up'), 0)
    const movedTo = target === undefined ? {} : { movedTo: target.isFolder ? `${target.path}/` : target.path }
    const made = await service.call('backup', movedTo, (done) => progress.set(done))
    progress.done()
    const file = target === undefined ? resolve(made.file) : await moveBackup(made.file, target)
    if (json) return void process.stdout.write(`${JSON.stringify({ ...made, file }, null, 2)}\n`)
    const { profiles, events, bytes } = made
    process.stdout.write(
      words(
        `✓ ${file}\n  ${formatCount(profiles)} 份档案，${formatCount(events)} 个事件，${formatMib(bytes)} MiB。里面有客户的手机号和名字：像数据目录一样保管。配置和旅程文件不在里面\n`,
        `✓ ${file}\n  ${formatCount(profiles)} profiles, ${formatCount(events)} events, ${formatMib(bytes)} MiB. It holds customers' phones and names: keep it as you keep the data directory. Configuration and journey files are not in it\n`,
      ),
    )
  })
}

async function listCommand(json: boolean, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { backups } = await service.call('backup/list', {})
    if (json) return void process.stdout.write(`${JSON.stringify(backups, null, 2)}\n`)
    const { brand } = service.config
    const words = bilingual(brand.locale)
    if (backups.length === 0)
      return void process.stdout.write(words('还没有备份：siyu backup\n', 'No backup yet: siyu backup\n'))
    process.stdout.write(
      fitTable(
        [
          { title: words('时刻', 'instant') },
          { title: words('档案', 'profiles'), align: 'right' },
          { title: words('事件', 'events'), align: 'right' },
          { title: 'MiB', align: 'right' },
          { title: words('备份', 'backup') },
          { title: words('在哪里', 'where') },
        ],
        backups.map((b) => [
          formatAt(b.at, brand.timeZone),
          formatCount(b.profiles),
          formatCount(b.events),
          formatMib(b.bytes),
          b.id,
          b.isThere ? b.file : (b.movedTo ?? words('移走或删掉了', 'moved or deleted')),
        ]),
        process.stdout.columns,
      ),
    )
  })
}

/** `siyu restore` */
export async function restoreCommand(
  file: string,
  json: boolean,
  options: Pick<ServiceOptions, 'config' | 'env'>,
): Promise<void> {
  const { restoreFrom } = await import('../app/restore.js')
  const locale = await languageOf({ env: options.env, options: { config: options.config } })
  const words = bilingual(locale)
  const progress = createProgress({ stream: process.stderr, locale })
  progress.start(words('恢复', 'restoring'), 0)
  const restored = await restoreFrom(file, options, (done, total) => {
    progress.total(total)
    progress.set(done)
  })
  progress.done()
  if (json) return void process.stdout.write(`${JSON.stringify(restored, null, 2)}\n`)
  const { id, at, profiles, events, store } = restored
  process.stdout.write(
    words(
      `✓ 已恢复 ${id}：${at} 的 ${formatCount(profiles)} 份档案、${formatCount(events)} 个事件\n` +
        `  发送已停：备份不知道那之后发过什么。核对后 siyu send resume\n` +
        `  它和原来的服务是同一个（标识 ${store}）：只让其中一个运行，否则客户会收到两份\n`,
      `✓ restored ${id}: ${formatCount(profiles)} profiles, ${formatCount(events)} events as of ${at}\n` +
        `  Sends are stopped: the backup does not know what went out since. Compare, then siyu send resume\n` +
        `  It is the same store as the one it was made of (${store}): let only one of them run, or customers get everything twice\n`,
    ),
  )
}

function formatMib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
