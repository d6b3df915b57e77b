import type { Command } from 'commander'
import type { ArrivalRow, MemberRow } from '../services/wecom/count-arrivals.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount, formatRatio } from '../print/numbers.js'
import { columnsIn, fitTable } from '../print/table.js'
import { bilingual, type Words } from '../said.js'
import { type CommandContext, configOption, serviceOptions, wholeNumber, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerWecomStats(wecom: Command, context: CommandContext): void {
  wecom
    .command('stats')
    .description('渠道与成员每日统计 · arrivals by channel and members, by day')
    .option('--days <n>', '最近几天，含今天 · days, today included', wholeNumber, 7)
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .action(async (options: WithConfig & { days: number; json: boolean }) =>
      wecomStatsCommand(serviceOptions(options, context), options.days, options.json),
    )
}

/** `siyu wecom stats`: who came by which code, day by day, and what members did. */
export async function wecomStatsCommand(options: ServiceOptions, days: number, json: boolean): Promise<void> {
  await withService(options, async (service) => {
    const statistics = await service.call('wecom/stats', { days })
    if (json) {
      process.stdout.write(`${JSON.stringify(statistics, null, 2)}\n`)
      return
    }
    const words = bilingual(service.config.brand.locale)
    process.stdout.write(`${statistics.from} – ${statistics.to}\n\n${renderArrivals(statistics.arrivals, words)}\n`)
    process.stdout.write(
      statistics.members.length === 0
        ? `${words('成员统计还没有拉取，服务运行时每天一次', 'figures of members are pulled once a day while the service runs')}\n`
        : renderMembers(statistics.members, words),
    )
  })
}

const RIGHT = { align: 'right' } as const

/** Day by day and code by code, then each code's total. */
export function renderArrivals(rows: readonly ArrivalRow[], words: Words): string {
  const totals = new Map<string, ArrivalRow>()
  for (const row of rows) {
    const empty = { ...row, on: words('合计', 'total'), added: 0, deleted: 0, standing: 0, ordered: 0 }
    const total = totals.get(row.channel) ?? empty
    for (const field of ['added', 'deleted', 'standing', 'ordered'] as const) total[field] += row[field]
    totals.set(row.channel, total)
  }
  return fitTable(
    columnsIn(
      words,
      ['日期', 'day', { whole: true }],
      ['渠道', 'channel'],
      ['新增', 'added', RIGHT],
      ['流失', 'lost', RIGHT],
      ['净增', 'net', RIGHT],
      ['仍在', 'still there', RIGHT],
      ['已购', 'ordered', RIGHT],
    ),
    [...rows, ...totals.values()].map((r) => [
      r.on,
      r.channel === '' ? words('（无）', '(none)') : r.channel,
      formatCount(r.added),
      formatCount(r.deleted),
      String(r.added - r.deleted),
      formatCount(r.standing),
      formatCount(r.ordered),
    ]),
    process.stdout.columns,
  )
}

export function renderMembers(rows: readonly MemberRow[], words: Words): string {
  return fitTable(
    columnsIn(
      words,
      ['成员', 'member'],
      ['新增', 'added', RIGHT],
      ['流失', 'lost', RIGHT],
      ['聊天', 'chats', RIGHT],
      ['消息', 'messages', RIGHT],
      ['回复率', 'replies', RIGHT],
      ['群', 'groups', RIGHT],
      ['群成员', 'in groups', RIGHT],
    ),
    rows.map((r) => [
      r.userId,
      formatCount(r.added),
      formatCount(r.lost),
      formatCount(r.chats),
      formatCount(r.messages),
      r.replyPercentage === undefined ? '–' : formatRatio(r.replyPercentage / 100),
      r.groups === undefined ? '–' : formatCount(r.groups),
      r.groupMembers === undefined ? '–' : formatCount(r.groupMembers),
    ]),
    process.stdout.columns,
  )
}
