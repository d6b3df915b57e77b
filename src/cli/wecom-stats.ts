import type { Command } from 'commander'
import type { ArrivalRow, MemberRow } from '../services/wecom/count-arrivals.js'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount, formatRatio } from '../print/numbers.js'
import { type Column, renderTable } from '../print/table.js'
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
    process.stdout.write(`${statistics.from} – ${statistics.to}\n\n${renderArrivals(statistics.arrivals)}\n`)
    process.stdout.write(
      statistics.members.length === 0
        ? '成员统计还没有拉取 · figures of members are pulled once a day while the service runs\n'
        : renderMembers(statistics.members),
    )
  })
}

const right = (title: string): Column => ({ title, align: 'right' })

/** Day by day and code by code, then each code's total. */
export function renderArrivals(rows: readonly ArrivalRow[]): string {
  const totals = new Map<string, ArrivalRow>()
  for (const row of rows) {
    const total = totals.get(row.channel) ?? { ...row, on: '合计 total', added: 0, deleted: 0, standing: 0, ordered: 0 }
    for (const field of ['added', 'deleted', 'standing', 'ordered'] as const) total[field] += row[field]
    totals.set(row.channel, total)
  }
  return renderTable(
    [
      { title: '日期 day' },
      { title: '渠道 channel' },
      right('新增 added'),
      right('流失 lost'),
      right('净增 net'),
      right('仍在 still there'),
      right('已购 ordered'),
    ],
    [...rows, ...totals.values()].map((r) => [
      r.on,
      r.channel === '' ? '（无 none）' : r.channel,
      formatCount(r.added),
      formatCount(r.deleted),
      String(r.added - r.deleted),
      formatCount(r.standing),
      formatCount(r.ordered),
    ]),
  )
}

export function renderMembers(rows: readonly MemberRow[]): string {
  return renderTable(
    [
      { title: '成员 member' },
      right('新增 added'),
      right('流失 lost'),
      right('聊天 chats'),
      right('消息 messages'),
      right('回复率 replies'),
      right('群 groups'),
      right('群成员 in groups'),
    ],
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
  )
}
