import type { Command } from 'commander'
import type { WhyQuery } from '../services/touches/explain-touches.js'
import type { ServiceOptions } from '../app/open-service.js'
import { type Bilingual, both, nameOf } from '../print/words.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { asCommand, bilingual, inLanguage } from '../said.js'
import { type CommandContext, examples, serviceOptions, type WithConfig } from './options.js'
import { parseWhom, personOptions, type PersonOptions } from './person.js'
import { withService } from './with-service.js'

export function registerWhy(program: Command, context: CommandContext): void {
  personOptions(
    program
      .command('why')
      .description('一个人收到了什么、没收到什么，为什么 · what a person got and did not get, and why')
      .argument('[who]', '档案号、任意标识，或触达 id · a profile number, any identifier, or a touch id'),
  )
    .addHelpText('after', examples('siyu why 42', 'siyu why 13800000011', 'siyu why vip-dormant-30-60d:42:0/0'))
    .action(async (of: string | undefined, options: WithConfig & PersonOptions) =>
      whyCommand(
        of !== undefined && TOUCH.test(of) ? { touchId: of } : parseWhom(of, options),
        serviceOptions(options, context),
      ),
    )
}

/** The id of a touch: of a step in somebody's run. */
const TOUCH = /^[^:]+:\d+:\d+\//

/** `siyu why`: what was and was not done for one person, with reasons. */
export async function whyCommand(of: WhyQuery, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const why = await service.call('why', { of })
    const { timeZone, locale } = service.config.brand
    const words = bilingual(locale)
    const word = (key: string | undefined) => (key === undefined ? '' : (WORDS[key] ?? nameOf(key))[locale])
    const at = (iso: string | undefined) => formatAt(iso, timeZone)
    const say = (text: string) => void process.stdout.write(`${text}\n`)
    const table = (titles: Title[], rows: string[][]) => {
      if (rows.length > 0)
        process.stdout.write(`\n${fitTable(columnsIn(words, ...titles), rows, process.stdout.columns)}`)
    }
    const guide =
      why.guideUserId === undefined
        ? words('没有导购好友，无法触达', 'nobody has her as a contact')
        : words(`导购 ${why.guideUserId}`, `guide ${why.guideUserId}`)
    const optedOut =
      why.optedOutAt === undefined ? '' : words(`，已退订 ${at(why.optedOutAt)}`, `, opted out ${at(why.optedOutAt)}`)
    say(`${words(`档案 ${why.profileId}，`, `profile ${why.profileId}, `)}${guide}${optedOut}`)
    if (why.sending.stopped) say(`■ ${words('已停发', 'sending is stopped')} (siyu send resume)`)
    table(
      [
        ['进入', 'entered', WHOLE],
        ['旅程', 'journey'],
        ['版本', 'version', { align: 'right' }],
        ['组', 'arm'],
        ['状态', 'state'],
        ['结果', 'outcome'],
      ],
      why.runs.map((r) => [
        at(r.enteredAt),
        r.journeyId,
        String(r.version),
        word(r.arm),
        word(r.state),
        word(r.outcome),
      ]),
    )
    for (const { id, held } of why.runs)
      if (held !== undefined)
        say(
          `⏸ ${id} ${words(`停在原处，自 ${at(held.since)}`, `waits since ${at(held.since)}`)}: ${inLanguage(held.reason, locale)}`,
        )
    table(
      [
        ['计划', 'planned', WHOLE],
        ['触达', 'touch', WHOLE],
        ['渠道', 'channel'],
        ['内容', 'content'],
        ['状态', 'state'],
        ['原因或时间', 'reason or time'],
      ],
      why.touches.map((t) => [
        at(t.plannedAt),
        t.id,
        word(t.channel),
        t.contentId,
        word(t.state),
        t.reason !== undefined ? word(t.reason) : at(t.deliveredAt ?? t.releaseAt),
      ]),
    )
    for (const { id, unsettled } of why.touches)
      if (unsettled !== undefined) {
        const from = at(unsettled.since)
        const since = from === '' ? '' : words(`，自 ${from}`, ` since ${from}`)
        const what = words('平台没有说结果', 'the platform does not tell what became of it')
        say(`? ${id} ${what}${since}: ${inLanguage(unsettled.why, locale)}`)
      }
    table(
      [
        ['时间', 'at', WHOLE],
        ['未进入的旅程', 'not entered'],
        ['原因', 'reason'],
      ],
      why.refusals.map((r) => [at(r.at), r.journeyId, word(r.reason)]),
    )
    table(
      [
        ['加好友', 'added', WHOLE],
        ['导购', 'guide'],
        ['欢迎语', 'welcome'],
        ['状态', 'state'],
        ['原因', 'reason'],
      ],
      why.welcomes.map((w) => [at(w.at), w.userId, w.contentId ?? '', word(w.state), word(w.reason)]),
    )
    if (why.runs.length + why.touches.length + why.refusals.length + why.welcomes.length === 0)
      say(words('没有进过旅程，也没有触达', 'entered no journey, no touch planned'))
    if (!('touchId' in of)) {
      const ask = asCommand(`siyu journeys explain <journey> --profile ${why.profileId}`)
      say(`\n${words('某个旅程为什么没进：', 'why not a journey: ')}${ask}`)
    }
  })
}

type Title = Parameters<typeof columnsIn>[1]
const WHOLE = { whole: true } as const

/** What the same key means here and not in reports, and what only this tells of. */
const WORDS: Readonly<Record<string, Bilingual>> = {
  already_in: both('已在其中', 'already in'),
  once_only: both('一生一次', 'once only'),
  too_soon: both('间隔不够', 'too soon'),
  max_entries: both('次数已满', 'max entries'),
  too_old: both('事件到得太晚，超过 24 小时', 'the event came more than 24 h late'),
  waiting: both('进行中', 'waiting'),
  ended: both('已结束', 'ended'),
  finished: both('走完', 'finished'),
  merged: both('并入他人', 'merged'),
  sent: both('已发送', 'sent'),
  dropped: both('未发送', 'not sent'),
  refused: both('被拒绝', 'refused'),
  no_rule: both('没有满足的规则', 'no rule holds'),
  rule_says_nothing: both('规则要求不发', 'the rule says nothing'),
  code_expired: both('超过 20 秒', 'older than 20 s'),
  chat_started: both('聊天已开始', 'the chat had begun'),
  lost_contact: both('好友关系已结束', 'no contact any more'),
}
