import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { said } from '../said.js'
import { InvalidInputError, messageOf } from '../errors.js'
import type { Transfer } from '../stored/wecom.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount } from '../print/numbers.js'
import { formatAt, renderTable } from '../print/table.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerWecomTransfer(wecom: Command, context: CommandContext): void {
  wecom
    .command('transfer')
    .description('把客户转给另一位成员 · hand customers over to another member')
    .requiredOption('--from <userid>', '原跟进成员 · the old owner')
    .requiredOption('--to <userid>', '接替成员 · the new owner')
    .option('--customers <file>', '每行一个 external_userid；默认全部 · one a line; default: all of them')
    .option('--resigned', '原成员已离职 · the old owner has left', false)
    .option('--message <text>', '在职转接时给客户的提示 · shown to the customer')
    .addOption(configOption())
    .addHelpText(
      'after',
      examples(
        'siyu wecom transfer --from guide001 --to guide002',
        'siyu wecom transfer --from guide001 --to guide002 --resigned',
      ),
    )
    .action(async (options: WithConfig & TransferCommand) => transferCommand(options, serviceOptions(options, context)))
  wecom
    .command('transfers')
    .description('转接进度和失败原因 · how transfers stand')
    .addOption(configOption())
    .action(async (options: WithConfig) => transfersCommand(serviceOptions(options, context)))
}

export type TransferCommand = { from: string; to: string; customers?: string; resigned: boolean; message?: string }

/** `siyu wecom transfer`: asks for customers to change hands; the service follows what becomes of it. */
export async function transferCommand(command: TransferCommand, options: ServiceOptions): Promise<void> {
  const { from, to, customers, resigned, message } = command
  const externalUserIds = customers === undefined ? undefined : await readIds(customers)
  await withService(options, async (service) => {
    const { asked, underWay } = await service.call('wecom/transfer', {
      from,
      to,
      kind: resigned ? 'resigned' : 'onjob',
      ...(externalUserIds !== undefined && { externalUserIds }),
      ...(message !== undefined && { message }),
    })
    const running =
      service.url === undefined ? '；siyu serve 运行后才会提交 they are asked for once siyu serve runs' : ''
    process.stdout.write(
      `✓ ${formatCount(asked)} 位客户将从 ${from} 转给 ${to}，24 小时后生效 · ${formatCount(asked)} customers will change hands in 24 hours` +
        `${underWay === 0 ? '' : `；${formatCount(underWay)} 位已在途中 under way already`}${running}\n进度 progress: siyu wecom transfers\n`,
    )
  })
}

const STATES: Readonly<Record<Transfer['state'], string>> = {
  ready: '待提交 to be asked for',
  asking: '提交中 being asked for',
  waiting: '等待生效 waiting',
  seen: '别处发起 made elsewhere',
  done: '完成 done',
  failed: '失败 failed',
}

/** `siyu wecom transfers`: how transfers stand, and whom they failed for. */
export async function transfersCommand(options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { groups, failed } = await service.call('wecom/transfers', {})
    const { timeZone } = service.config.brand
    process.stdout.write(
      renderTable(
        [
          { title: '从 from' },
          { title: '给 to' },
          { title: '状态 state' },
          { title: '客户 customers', align: 'right' },
          { title: '最近 latest' },
        ],
        groups.map((g) => [g.from, g.to, STATES[g.state], formatCount(g.customers), formatAt(g.latestAt, timeZone)]),
      ),
    )
    for (const f of failed) process.stdout.write(`✗ ${f.externalUserId} ${f.from} → ${f.to}: ${f.reason}\n`)
  })
}

/** One external userid a line. @throws {InvalidInputError} */
async function readIds(file: string): Promise<string[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (err) {
    const hint = said('每行一个 external_userid', 'one external_userid a line')
    throw new InvalidInputError('--customers', [{ file, path: '--customers', message: messageOf(err), hint }], {
      cause: err,
    })
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
