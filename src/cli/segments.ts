import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import { bilingual } from '../said.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig, wholeNumber } from './options.js'
import { registerExplain } from './explain.js'
import { parsePast, type PastOptions, pastOptions } from './past.js'
import { describeRule } from '../domain/rules/rule.js'
import { formatCount } from '../print/numbers.js'
import { columnsIn, fitTable } from '../print/table.js'
import { sayPast, sayReadings, sayUnknown } from './say-past.js'
import { withService } from './with-service.js'

export function registerSegments(program: Command, context: CommandContext): void {
  const segments = program.command('segments').description('人群：有谁、为什么 · segments: who is in it, and why')
  segments
    .command('list', { isDefault: true })
    .description('全部人群和人数 · every segment and how many people are in it')
    .addOption(configOption())
    .action(async (options: WithConfig) => listSegmentsCommand(serviceOptions(options, context)))
  pastOptions(
    segments
      .command('who')
      .description('现在或过去某一刻，人群里有多少人、是谁 · how many people are in it and who, now or at an instant')
      .argument('<segment>', '人群 id · segment id')
      .option('--limit <n>', '列出多少个档案号 · how many profile numbers to list', wholeNumber, 20)
      .addOption(configOption()),
  )
    .addHelpText('after', examples('siyu segments who reachable', 'siyu segments who vip --as-of 2026-11-01T10:00'))
    .action(async (segment: string, options: WithConfig & PastOptions & { limit: number }) =>
      whoCommand(segment, options.limit, options, serviceOptions(options, context)),
    )
  registerExplain(segments, context, {
    description: '一个人在不在人群里，为什么 · whether a person is in it, and why',
    argument: ['<segment>', '人群 id · segment id'],
    examples: [
      'siyu segments explain reachable --profile 42',
      'siyu segments explain vip --member 13085 --as-of 2026-11-01T10:00',
    ],
    ask: (service, segment, of) => service.call('segments/explain', { segment, ...of }),
  })
}

/** `siyu segments` */
export async function listSegmentsCommand(options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const rows = await service.call('segments', {})
    const words = bilingual(service.config.brand.locale)
    process.stdout.write(
      fitTable(
        columnsIn(
          words,
          ['人群', 'segment', { whole: true }],
          ['人数', 'people', { align: 'right' }],
          ['规则', 'rule'],
        ),
        rows.map(({ id, people, rule }) => [id, formatCount(people), describeRule(rule)]),
        process.stdout.columns,
      ),
    )
  })
}

/** `siyu segments who` */
export async function whoCommand(
  segment: string,
  limit: number,
  when: PastOptions,
  options: ServiceOptions,
): Promise<void> {
  await withService(options, async (service) => {
    const { brand } = service.config
    const { timeZone, locale } = brand
    const words = bilingual(locale)
    const past = parsePast(when, timeZone)
    const found = await service.call('segments/who', { of: { segment }, limit, ...(past !== undefined && { past }) })
    const lines = [`${words(`人群 ${segment}，`, `segment ${segment}, `)}${sayPast(found.at, past, brand)}`]
    if (found.result === 'unknown')
      lines.push(sayUnknown(found.reason, 'from' in found ? found.from : undefined, brand))
    else {
      const { people, profileIds, tags } = found
      const readings = sayReadings(tags, past?.asItHappened === true, locale)
      const rest = people > profileIds.length ? ' …' : ''
      lines.push(
        `${formatCount(people)} ${words('人', 'people')}${profileIds.length === 0 ? '' : `: ${profileIds.join(' ')}${rest}`}`,
      )
      if (readings !== undefined) lines.push(readings)
    }
    process.stdout.write(`${lines.join('\n')}\n`)
  })
}
