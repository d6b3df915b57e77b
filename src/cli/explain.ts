import type { Command } from 'commander'
import type { Service } from '../app/open-service.js'
import type { PersonQuery } from '../services/identity/find-person.js'
import type { PastQuery } from '../services/segments/ask-past.js'
import type { TagReason } from '../services/tags/explain-tag.js'
import { type CommandContext, examples, serviceOptions, type WithConfig } from './options.js'
import { parsePast, type PastOptions, pastOptions } from './past.js'
import { parseWhom, personOptions, type PersonOptions } from './person.js'
import { renderReason } from './tag-reason.js'
import { withService } from './with-service.js'

/** What can be explained of a person, now or as of an instant. */
export type Explained = {
  description: string
  /** The id to be given: `<tag>`, and what it is. */
  argument: [name: string, description: string]
  examples: readonly string[]
  ask(service: Service, id: string, of: { person: PersonQuery; past?: PastQuery }): Promise<TagReason>
}

/** Adds `<parent> explain`: a value, and every clause behind it with its figure. */
export function registerExplain(parent: Command, context: CommandContext, explained: Explained): void {
  const command = parent
    .command('explain')
    .description(explained.description)
    .argument(...explained.argument)
    .argument('[who]', '档案号，或任意标识 · a profile number, or any identifier')
  pastOptions(personOptions(command))
    .addHelpText('after', examples(...explained.examples))
    .action(async (id: string, who: string | undefined, options: WithConfig & PersonOptions & PastOptions) => {
      const person = parseWhom(who, options)
      await withService(serviceOptions(options, context), async (service) => {
        const { brand } = service.config
        const past = parsePast(options, brand.timeZone)
        const reason = await explained.ask(service, id, { person, ...(past !== undefined && { past }) })
        process.stdout.write(renderReason(reason, brand, process.stdout.columns))
      })
    })
}
