import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import type { PersonQuery } from '../services/identity/find-person.js'
import { type CommandContext, examples, serviceOptions, type WithConfig } from './options.js'
import { parsePast, type PastOptions, pastOptions } from './past.js'
import { parsePerson, personOptions, type PersonOptions } from './person.js'
import { renderReason } from './tag-reason.js'
import { withService } from './with-service.js'

export function registerJourneys(program: Command, context: CommandContext): void {
  const journeys = program.command('journeys').description('旅程：解释进入条件 · journeys: explain who enters')
  pastOptions(
    personOptions(
      journeys
        .command('explain')
        .description('一个人是否满足进入条件，为什么 · whether a person meets the entry rule, and why')
        .argument('<journey>', '旅程 id · journey id'),
    ),
  )
    .addHelpText(
      'after',
      examples(
        'siyu journeys explain vip-dormant-30-60d --profile 42',
        'siyu journeys explain vip-dormant-30-60d --profile 42 --as-of 2026-11-01T10:00',
      ),
    )
    .action(async (journey: string, options: WithConfig & PersonOptions & PastOptions) =>
      explainEntryCommand(journey, parsePerson(options), options, serviceOptions(options, context)),
    )
}

/** `siyu journeys explain` */
export async function explainEntryCommand(
  journey: string,
  person: PersonQuery,
  when: PastOptions,
  options: ServiceOptions,
): Promise<void> {
  await withService(options, async (service) => {
    const { brand } = service.config
    const past = parsePast(when, brand.timeZone)
    const input = { journey, person, ...(past !== undefined && { past }) }
    process.stdout.write(renderReason(await service.call('journeys/explain', input), brand))
  })
}
