import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import { formatCount, formatMinor } from '../print/numbers.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import type { PersonQuery } from '../services/identity/find-person.js'
import { bilingual } from '../said.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig, wholeNumber } from './options.js'
import { parseWhom, personOptions, type PersonOptions } from './person.js'
import { withService } from './with-service.js'

export function registerPeople(program: Command, context: CommandContext): void {
  program
    .command('people')
    .description('有哪些人，附可复制的标识 · who there is, with identifiers to copy')
    .option('--limit <n>', '最多几人，1 到 200 · people at most, 1 to 200', wholeNumber, 20)
    .option('--after <n>', '只看这个档案号之后的 · only after this profile number', wholeNumber, 0)
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .addHelpText('after', examples('siyu people', 'siyu people --after 20'))
    .action(async (options: WithConfig & PeopleCommand) => peopleCommand(options, serviceOptions(options, context)))
}

export function registerPerson(program: Command, context: CommandContext): void {
  personOptions(
    program
      .command('person')
      .description('一个人的全部：标识、属性、标签、事件 · all that is known of one person')
      .argument('[id]', '档案号，或任意标识 · a profile number, or any identifier')
      .option('--export', '我们有的她的一切，JSON · all that is held of her, as JSON', false)
      .option('--json', '给程序读 · for programs', false),
  )
    .addHelpText(
      'after',
      examples('siyu person 42', 'siyu person 13800000011', 'siyu person wmAbC123', 'siyu person 42 --export'),
    )
    .action(async (id: string | undefined, options: WithConfig & PersonOptions & { json: boolean; export: boolean }) =>
      options.export
        ? exportCommand(parseWhom(id, options), serviceOptions(options, context))
        : personCommand(parseWhom(id, options), options.json, serviceOptions(options, context)),
    )
}

/** `siyu person --export` */
async function exportCommand(of: PersonQuery, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    process.stdout.write(`${JSON.stringify(await service.call('person/export', { of }), null, 2)}\n`)
  })
}

type Title = Parameters<typeof columnsIn>[1]

type PeopleCommand = { limit: number; after: number; json: boolean }

/** `siyu people` */
export async function peopleCommand({ limit, after, json }: PeopleCommand, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const page = await service.call('people', { limit, after })
    if (json) return void process.stdout.write(`${JSON.stringify(page, null, 2)}\n`)
    const words = bilingual(service.config.brand.locale)
    process.stdout.write(
      fitTable(
        columnsIn(
          words,
          ['档案', 'profile', { align: 'right' }],
          ['名字', 'name'],
          ['阶段', 'stage'],
          ['导购', 'guide'],
          ['标识', 'identifiers'],
        ),
        page.rows.map((r) => [
          String(r.profileId),
          r.name ?? '',
          r.stage ?? '',
          r.guideUserId ?? '',
          r.identifiers.map(({ type, value }) => `${type}:${value}`).join(' '),
        ]),
        process.stdout.columns,
      ),
    )
    const shown = words(
      `共 ${formatCount(page.people)} 人，列出 ${page.rows.length} 人`,
      `${page.rows.length} of ${formatCount(page.people)} people`,
    )
    const more =
      page.next === undefined
        ? ''
        : words(`；再看 siyu people --after ${page.next}`, `; more: siyu people --after ${page.next}`)
    process.stdout.write(`${shown}${more}\n`)
  })
}

/** `siyu person` */
export async function personCommand(of: PersonQuery, json: boolean, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    const person = await service.call('person', { of })
    if (json) return void process.stdout.write(`${JSON.stringify(person, null, 2)}\n`)
    const { brand } = service.config
    const words = bilingual(brand.locale)
    const at = (iso: string | undefined) => formatAt(iso, brand.timeZone)
    const table = (titles: Title[], rows: string[][]) => {
      if (rows.length > 0)
        process.stdout.write(`\n${fitTable(columnsIn(words, ...titles), rows, process.stdout.columns)}`)
    }
    const optedOut =
      person.optedOutAt === undefined
        ? ''
        : words(`，已退订 ${at(person.optedOutAt)}`, `, opted out ${at(person.optedOutAt)}`)
    const merged = person.mergedIds.length === 0 ? '' : words('，并入了', ', with ') + person.mergedIds.join(' ')
    process.stdout.write(
      `${words(`档案 ${person.profileId}，建于 ${at(person.createdAt)}`, `Profile ${person.profileId}, made ${at(person.createdAt)}`)}${merged}${optedOut}\n`,
    )
    const since: Title = ['自', 'since', { whole: true }]
    const source: Title = ['来源', 'source']
    table(
      [['标识', 'identifier'], source, since, ['值', 'value']],
      person.identifiers.map((i) => [i.type, i.source, at(i.since), i.value]),
    )
    table(
      [['属性', 'trait'], source, since, ['值', 'value']],
      person.traits.map((t) => [t.name, t.source, at(t.since), t.value]),
    )
    table(
      [['导购', 'guide'], since, ['结束', 'ended'], ['external_userid', 'external_userid']],
      person.contacts.map((c) => [c.userId, at(c.since), at(c.endedAt), c.externalUserId]),
    )
    table(
      [['标签', 'tag'], since, ['值', 'value']],
      person.tags.map((t) => [t.id, at(t.since), t.value]),
    )
    table(
      [['事件', 'event'], ['时间', 'at'], source, ['金额', 'amount'], ['内容', 'properties']],
      person.events.map((e) => [
        e.name,
        at(e.at),
        e.source,
        e.amountMinor === 0 ? '' : formatMinor(e.amountMinor, brand.currency),
        e.properties,
      ]),
    )
    process.stdout.write(
      `\n${words(`收到了什么、为什么：siyu why ${person.profileId}`, `What she got, and why: siyu why ${person.profileId}`)}\n`,
    )
  })
}
