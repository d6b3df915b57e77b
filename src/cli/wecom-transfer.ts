import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { bilingual, inLanguage, said } from '../said.js'
import { InvalidInputError, messageOf } from '../errors.js'
import type { Transfer } from '../stored/wecom.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount } from '../print/numbers.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { type Bilingual, both } from '../print/words.js'
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
    const words = bilingual(service.config.brand.locale)
    const n = formatCount(asked)
    const more = [
      ...(underWay === 0 ? [] : [words(`${underWay} 位已在途中`, `${underWay} under way already`)]),
      ...(service.url === undefined
        ? [words('siyu serve 运行后才会提交', 'they are asked for once siyu serve runs')]
        : []),
    ]
    process.stdout.write(
      [
        `✓ ${words(`${n} 位客户将从 ${from} 转给 ${to}，24 小时后生效`, `${n} customers of ${from} will be ${to}'s in 24 hours`)}`,
        ...more.map((text) => `  ${text}`),
        `${words('进度：', 'progress: ')}siyu wecom transfers\n`,
      ].join('\n'),
    )
  })
}

const STATES: Readonly<Record<Transfer['state'], Bilingual>> = {
  ready: both('待提交', 'to be asked for'),
  asking: both('提交中', 'being asked for'),
  waiting: both('等待生效', 'waiting'),
  seen: both('别处发起', 'made elsewhere'),
  done: both('完成', 'done'),
  failed: both('失败', 'failed'),
}

/** `siyu wecom transfers`: how transfers stand, and whom they failed for. */
export async function transfersCommand(options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const { groups, failed } = await service.call('wecom/transfers', {})
    const { timeZone, locale } = service.config.brand
    process.stdout.write(
      fitTable(
        columnsIn(
          bilingual(locale),
          ['从', 'from'],
          ['给', 'to'],
          ['状态', 'state'],
          ['客户', 'customers', { align: 'right' }],
          ['最近', 'latest', { whole: true }],
        ),
        groups.map((g) => [
          g.from,
          g.to,
          STATES[g.state][locale],
          formatCount(g.customers),
          formatAt(g.latestAt, timeZone),
        ]),
        process.stdout.columns,
      ),
    )
    for (const f of failed)
      process.stdout.write(`✗ ${f.externalUserId} ${f.from} → ${f.to}: ${inLanguage(f.reason, locale)}\n`)
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
