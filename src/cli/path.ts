import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import { systemEvents } from '../domain/events/system-events.js'
import { formatMinor } from '../print/numbers.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { nameOf } from '../print/words.js'
import { asCommand, bilingual, type Words } from '../said.js'
import type { Conversion, PathQuery, Station } from '../services/identity/show-path.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../time.js'
import { type CommandContext, examples, serviceOptions, type WithConfig, wholeNumber } from './options.js'
import { parseWhom, personOptions, type PersonOptions } from './person.js'
import { withService } from './with-service.js'

export function registerPath(program: Command, context: CommandContext): void {
  personOptions(
    program
      .command('path')
      .description('一个人下单前的路：触达、渠道、页面，匿名时的也算 · what led somebody to an order')
      .argument('[who]', '档案号，或任意标识 · a profile number, or any identifier')
      .option('--event <name>', '什么算转化 · what counts as a conversion', 'order_paid')
      .option('--days <n>', '往前看几天，1 到 366 · days before it, 1 to 366', wholeNumber, 30)
      .option('--last <n>', '最近几次，1 到 20 · of how many, the last ones, 1 to 20', wholeNumber, 3)
      .option('--json', '给程序读 · for programs', false),
  )
    .addHelpText('after', examples('siyu path 42', 'siyu path 13800000011 --days 90 --last 1'))
    .action(
      async (
        who: string | undefined,
        { event, days, last, json, ...options }: WithConfig & PersonOptions & Asked & { json: boolean },
      ) => pathCommand({ of: parseWhom(who, options), event, days, last }, json, serviceOptions(options, context)),
    )
}

type Asked = Pick<PathQuery, 'event' | 'days' | 'last'>

/** `siyu path` */
export async function pathCommand(query: PathQuery, json: boolean, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const path = await service.call('person/path', query)
    if (json) return void process.stdout.write(`${JSON.stringify(path, null, 2)}\n`)
    const { timeZone, locale, currency } = service.config.brand
    const words = bilingual(locale)
    const lines = [words(`档案 ${path.profileId}`, `profile ${path.profileId}`)]
    if (path.conversions.length === 0)
      lines.push(
        words(`没有 ${path.event}`, `no ${path.event}`),
        `${words('她做过什么：', 'what she did: ')}${asCommand(`siyu person ${path.profileId}`)}`,
      )
    process.stdout.write(`${lines.join('\n')}\n`)
    for (const conversion of path.conversions)
      process.stdout.write(
        `\n${renderConversion(conversion, { event: path.event, days: path.days, timeZone, words, locale, currency }, process.stdout.columns)}`,
      )
  })
}

type Shown = {
  event: string
  days: number
  timeZone: string
  words: Words
  locale: 'zh' | 'en'
  currency: string
}

/** A conversion, and under it what came before, the last of it last. */
export function renderConversion(
  { id, at, source, amountMinor, touchedBy, stations, cut }: Conversion,
  { event, days, timeZone, words, locale, currency }: Shown,
  width: number | undefined,
): string {
  const amount = amountMinor === 0 ? '' : ` ${formatMinor(amountMinor, currency)}`
  const head = `● ${formatAt(at, timeZone)} ${event}${amount} (${source} ${id})`
  if (stations.length === 0)
    return `${head}\n${words(`前 ${days} 天什么都没有`, `nothing in the ${days} days before`)}\n`
  const touches =
    touchedBy.length === 0
      ? words('路上没有触达', 'no touch on the way')
      : words('路上的触达：', 'touched by: ') + touchedBy.map((channel) => nameOf(channel)[locale]).join(' → ')
  const table = fitTable(
    columnsIn(
      words,
      ['时间', 'at', { whole: true }],
      ['之前', 'before', { align: 'right' }],
      ['什么', 'what'],
      ['渠道', 'channel'],
      ['哪里', 'where'],
    ),
    stations.map((station) => [
      formatAt(station.at, timeZone),
      beforeIn(Date.parse(at) - Date.parse(station.at), words),
      whatIn(station, locale),
      station.kind === 'touch' ? nameOf(station.channel)[locale] : station.channel,
      whereIn(station, words),
    ]),
    width,
  )
  const more = cut ? `${words('（更早的没有列出）', '(what was before that is not listed)')}\n` : ''
  return `${head}\n${touches}\n${more}${table}`
}

function whatIn({ name, times }: Station, locale: 'zh' | 'en'): string {
  const own = (systemEvents as Readonly<Record<string, { words: { zh: string; en: string } }>>)[name]
  return `${own?.words[locale] ?? name}${times === 1 ? '' : ` ×${times}`}`
}

function whereIn({ journeyId, contentId, page, anonymous, asProfile }: Station, words: Words): string {
  const who = anonymous === true ? words('匿名', 'anonymous') : undefined
  const as = asProfile === undefined ? undefined : words(`当时是档案 ${asProfile}`, `profile ${asProfile} then`)
  return [journeyId, contentId, page, who, as].filter((part) => part !== undefined).join(' · ')
}

function beforeIn(ms: number, words: Words): string {
  if (ms >= DAY_MS) return words(`${Math.floor(ms / DAY_MS)} 天`, `${Math.floor(ms / DAY_MS)} d`)
  if (ms >= HOUR_MS) return words(`${Math.floor(ms / HOUR_MS)} 小时`, `${Math.floor(ms / HOUR_MS)} h`)
  return words(`${Math.floor(ms / MINUTE_MS)} 分`, `${Math.floor(ms / MINUTE_MS)} min`)
}
