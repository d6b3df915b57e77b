import type { Command } from 'commander'
import type { WhyQuery } from '../services/touches/explain-touches.js'
import type { ServiceOptions } from '../app/open-service.js'
import { nameOf } from '../print/words.js'
import { formatAt, renderTable } from '../print/table.js'
import { type CommandContext, examples, serviceOptions, type WithConfig } from './options.js'
import { parsePerson, personOptions, type PersonOptions } from './person.js'
import { withService } from './with-service.js'

export function registerWhy(program: Command, context: CommandContext): void {
  personOptions(
    program
      .command('why')
      .description('一个人收到了什么、没收到什么，为什么 · what a person got and did not get, and why')
      .argument('[touch-or-profile]', '触达 id，或档案号 · a touch id, or a profile number'),
  )
    .addHelpText('after', examples('siyu why 42', 'siyu why --member 13085', 'siyu why vip-dormant-30-60d:42:0/0'))
    .action(async (of: string | undefined, options: WithConfig & PersonOptions) =>
      whyCommand(
        of === undefined ? parsePerson(options) : /^\d+$/.test(of) ? { profileId: Number(of) } : { touchId: of },
        serviceOptions(options, context),
      ),
    )
}

/** `siyu why`: what was and was not done for one person, with reasons. */
export async function whyCommand(of: WhyQuery, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const why = await service.call('why', { of })
    const { timeZone } = service.config.brand
    const at = (iso: string | undefined) => formatAt(iso, timeZone)
    const guide =
      why.guideUserId === undefined
        ? '没有导购好友，无法触达 nobody has her as a contact'
        : `导购 guide ${why.guideUserId}`
    const optedOut = why.optedOutAt === undefined ? '' : `，已退订 opted out ${at(why.optedOutAt)}`
    process.stdout.write(`档案 profile ${why.profileId}，${guide}${optedOut}\n`)
    if (why.sending.stopped) process.stdout.write('■ 已停发 · sending is stopped (siyu send resume)\n')
    if (why.runs.length > 0) {
      const columns = ['进入 entered', '旅程 journey', '版本 version', '组 arm', '状态 state', '结果 outcome'].map(
        (title) => ({ title }),
      )
      const rows = why.runs.map((r) => [
        at(r.enteredAt),
        r.journeyId,
        String(r.version),
        word(r.arm),
        word(r.state),
        word(r.outcome),
      ])
      process.stdout.write(`\n${renderTable(columns, rows)}`)
      for (const { id, held } of why.runs)
        if (held !== undefined)
          process.stdout.write(`⏸ ${id} 停在原处，自 waits since ${at(held.since)}: ${held.reason}\n`)
    }
    if (why.touches.length > 0) {
      const columns = [
        '计划 planned',
        '触达 touch',
        '渠道 channel',
        '内容 content',
        '状态 state',
        '原因或时间 reason or time',
      ].map((title) => ({ title }))
      const rows = why.touches.map((t) => [
        at(t.plannedAt),
        t.id,
        word(t.channel),
        t.contentId,
        word(t.state),
        t.reason !== undefined ? word(t.reason) : at(t.deliveredAt ?? t.releaseAt),
      ])
      process.stdout.write(`\n${renderTable(columns, rows)}`)
      for (const { id, unsettled } of why.touches)
        if (unsettled !== undefined) {
          const since = unsettled.since === undefined ? '' : `，自 since ${at(unsettled.since)}`
          process.stdout.write(
            `? ${id} 平台没有说结果 the platform does not tell what became of it${since}: ${unsettled.why}\n`,
          )
        }
    }
    if (why.refusals.length > 0) {
      const columns = ['时间 at', '未进入的旅程 not entered', '原因 reason'].map((title) => ({ title }))
      process.stdout.write(
        `\n${renderTable(
          columns,
          why.refusals.map((r) => [at(r.at), r.journeyId, word(r.reason)]),
        )}`,
      )
    }
    if (why.welcomes.length > 0) {
      const columns = ['加好友 added', '导购 guide', '欢迎语 welcome', '状态 state', '原因 reason'].map((title) => ({
        title,
      }))
      const rows = why.welcomes.map((w) => [at(w.at), w.userId, w.contentId ?? '', word(w.state), word(w.reason)])
      process.stdout.write(`\n${renderTable(columns, rows)}`)
    }
    if (why.runs.length + why.touches.length + why.refusals.length + why.welcomes.length === 0) {
      process.stdout.write('没有进过旅程，也没有触达 · entered no journey, no touch planned\n')
    }
    if (!('touchId' in of)) {
      process.stdout.write(
        `\n某个旅程为什么没进 why not a journey: siyu journeys explain <journey> --profile ${why.profileId}\n`,
      )
    }
  })
}

const WORDS: Readonly<Record<string, string>> = {
  already_in: '已在其中 already in',
  once_only: '一生一次 once only',
  too_soon: '间隔不够 too soon',
  max_entries: '次数已满 max entries',
  too_old: '事件到得太晚，超过 24 小时 the event came more than 24 h late',
  waiting: '进行中 waiting',
  ended: '已结束 ended',
  finished: '走完 finished',
  merged: '并入他人 merged',
  sent: '已发送 sent',
  dropped: '未发送 not sent',
  refused: '被拒绝 refused',
  no_rule: '没有满足的规则 no rule holds',
  rule_says_nothing: '规则要求不发 the rule says nothing',
  code_expired: '超过 20 秒 older than 20 s',
  chat_started: '聊天已开始 the chat had begun',
  lost_contact: '好友关系已结束 no contact any more',
}

function word(key: string | undefined): string {
  if (key === undefined) return ''
  if (WORDS[key] !== undefined) return WORDS[key]
  const { zh, en } = nameOf(key)
  return zh === en ? zh : `${zh} ${en}`
}
