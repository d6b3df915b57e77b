import { z } from 'zod'
import { InvalidInputError, type Problem } from '../src/errors.js'
import { parseInput, TimeOfDay } from '../src/parse.js'
import { hashKey, intOf } from '../src/random.js'
import { DAY_MS, isTimeZone, parseTimeOfDay } from '../src/time.js'
import { parseYaml, readYaml } from '../src/yaml-file.js'
import { Population } from './population.js'
import { messagingSettings } from './messaging-settings.js'
import { platformSettings } from './switches.js'
import { Weixin } from './weixin.js'

const Ratio = z.number().min(0).max(1)
const Instant = z.union([z.date(), z.iso.datetime({ offset: true }).transform((text) => new Date(text))])
const TimeZone = z.string().refine(isTimeZone, 'unknown time zone, e.g. Asia/Shanghai')

/** Shares of tasks a member handles at once (within 20 working minutes), late (2 to 22 working hours) or never; they add up to 1. */
export const Diligence = z
  .strictObject({ confirmAtOnce: Ratio, confirmLate: Ratio, never: Ratio })
  .refine((d) => Math.abs(d.confirmAtOnce + d.confirmLate + d.never - 1) < 1e-6, 'the three shares must add up to 1')
export type Diligence = z.infer<typeof Diligence>

export const Member = z.strictObject({
  userId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_\-@.]{0,63}$/, 'userId: 1–64 of A–Z a–z 0–9 _ - @ .'),
  name: z.string().min(1),
  diligence: Diligence.default({ confirmAtOnce: 0.6, confirmLate: 0.3, never: 0.1 }),
  workHours: z
    .tuple([TimeOfDay, TimeOfDay])
    .refine(([from, to]) => parseTimeOfDay(from)! < parseTimeOfDay(to)!, 'work must end after it begins')
    .default(['09:30', '20:30']),
  timeZone: TimeZone.optional().describe("Her working hours' time zone; default: the scenario's"),
  departmentIds: z.array(z.int().min(1)).min(1).default([1]).describe('The first is her main department'),
  position: z.string().default('导购'),
  isActivated: z.boolean().default(true).describe('False: she has never signed in to WeCom'),
  hasCustomerContact: z.boolean().default(true).describe('False: she has not been given the customer-contact feature'),
  customerLimit: z.int().min(1).default(20_000).describe('A takeover beyond it fails'),
  untickRatio: Ratio.default(0).describe('Customers she leaves out of a mass message that lets her choose'),
  absentRatio: Ratio.default(0).describe('Days on which she handles nothing'),
  ownSendsPerMonth: z.number().min(0).default(0).describe('Mass messages of her own; they eat the customers’ quota'),
  ownSendRatio: Ratio.default(0.2).describe('Part of her customers that such a message goes to'),
  resignsAt: Instant.optional().describe('When she leaves the company; her customers and groups wait for a new owner'),
})

const Department = z.strictObject({
  id: z.int().min(1),
  name: z.string().min(1).max(64),
  parentId: z.int().min(0).describe('0: the root, which has id 1'),
})

const Contact = z.strictObject({
  externalUserId: z.string().min(1).max(64),
  unionId: z.string().min(1).optional(),
  name: z.string().min(1),
  gender: z
    .union([z.literal(0), z.literal(1), z.literal(2)])
    .default(0)
    .describe('0 unknown, 1 male, 2 female'),
  addedAt: Instant.describe('In the future: the world adds the contact then and calls back'),
  followUserIds: z.array(z.string()).min(1).describe('Members who have the contact; the first is the owner'),
  addWay: z.int().min(0).default(1),
  state: z.string().max(64).optional(),
  remarkMobiles: z.array(z.string()).default([]),
  deletedAt: Instant.optional().describe('When the customer deletes every member'),
  tagIds: z.array(z.string()).default([]),
})

const TagGroup = z.strictObject({
  groupId: z.string().optional(),
  name: z.string().min(1).max(30),
  tags: z.array(z.strictObject({ tagId: z.string().optional(), name: z.string().min(1).max(30) })).min(1),
})

/** What customers and guides tend to do. Every ratio is a share of the step before it. */
const Habits = z.strictObject({
  readRatio: Ratio.default(0.7).describe('of delivered messages'),
  replyRatio: Ratio.default(0.1).describe('of read messages'),
  interestedRatio: Ratio.default(0.3).describe('of replies, and of outcomes of guide cards'),
  stopRatio: Ratio.default(0.05).describe('of replies, and of outcomes of guide cards'),
  clickRatio: Ratio.default(0).describe('of read messages that have a link'),
  buyRatio: Ratio.default(0).describe('of messages read within a day: makes an order that would not have been'),
  deleteRatio: Ratio.default(0).describe('of read messages: the customer deletes the member'),
  refuseTransferRatio: Ratio.default(0).describe('of customers whom another member is to take over'),
  wakingHours: z.tuple([TimeOfDay, TimeOfDay]).default(['08:00', '22:30']),
})

/** A company and its customers. Everything a YAML scenario file may contain. */
export const Scenario = z
  .strictObject({
    timeZone: TimeZone.default('Asia/Shanghai'),
    quotaMode: z.enum(['month_days', 'week_7', 'day_1']).default('month_days'),
    departments: z.array(Department).default([{ id: 1, name: '沙盒公司', parentId: 0 }]),
    members: z.array(Member).default([]),
    contacts: z.array(Contact).default([]),
    corpTags: z.array(TagGroup).default([]),
    habits: Habits.default(() => Habits.parse({})),
    weixin: Weixin,
    population: Population.optional().describe('Members and customers by number, beside the ones listed'),
    ...messagingSettings,
    ...platformSettings,
  })
  .superRefine((scenario, ctx) => {
    for (const problem of referenceProblems(scenario)) {
      ctx.addIssue({ code: 'custom', path: problem.path.split('.'), message: problem.message })
    }
  })
export type Scenario = z.infer<typeof Scenario>
export type ScenarioInput = z.input<typeof Scenario>
export type ScenarioMember = Scenario['members'][number]
export type ScenarioDepartment = Scenario['departments'][number]
export type ScenarioContact = Scenario['contacts'][number]

export function parseScenario(input: unknown, what = 'Sandbox scenario'): Scenario {
  return parseInput(Scenario, input, what)
}

/** @throws {InvalidInputError} with every problem of the file, each with its line */
export async function loadScenario(file: string): Promise<Scenario> {
  const parsed = parseYaml(Scenario, await readYaml(file))
  if ('value' in parsed) return parsed.value
  throw new InvalidInputError(`Sandbox scenario ${file}`, parsed.problems)
}

/** Five guides and two hundred customers, a fifth of whom arrive during the first thirty days. */
export function defaultScenario(seed: number, startAt: Date): Scenario {
  const members = Array.from({ length: 5 }, (_, i) => ({
    userId: `guide${pad(i + 1, 3)}`,
    name: `导购 ${pad(i + 1, 3)}`,
  }))
  const contacts = Array.from({ length: 200 }, (_, i) => {
    const id = hashKey(30, seed, 'contact', i)
    const days = i % 5 === 0 ? 1 + intOf(30, seed, 'days', i) : -1 - intOf(300, seed, 'days', i)
    return {
      externalUserId: `wm${id}`,
      unionId: `ou${id.slice(0, 26)}`,
      name: `顾客 ${pad(i + 1, 4)}`,
      addedAt: new Date(startAt.getTime() + days * DAY_MS + intOf(8 * 60, seed, 'minute', i) * 60_000),
      followUserIds: [members[intOf(members.length, seed, 'owner', i)]!.userId],
    }
  })
  return parseScenario({
    members,
    contacts,
    corpTags: [{ name: '客户等级', tags: [{ name: '一般' }, { name: '重要' }, { name: '核心' }] }],
  } satisfies ScenarioInput)
}

/** Ids that a scenario left to us: the same group and tag names give the same ids. */
export function tagIdsOf(group: Scenario['corpTags'][number]): { groupId: string; tagIds: string[] } {
  return {
    groupId: group.groupId ?? `et${hashKey(30, 'group', group.name)}`,
    tagIds: group.tags.map((tag) => tag.tagId ?? `et${hashKey(30, 'tag', group.name, tag.name)}`),
  }
}

function referenceProblems({
  departments,
  members,
  contacts,
  corpTags,
  population,
}: z.output<typeof Scenario>): Problem[] {
  const problems: Problem[] = []
  const departmentIds = new Set(departments.map((d) => d.id))
  departments.forEach((d, i) => {
    if (d.id === 1 ? d.parentId !== 0 : !departmentIds.has(d.parentId) || d.parentId === d.id)
      problems.push({
        path: `departments.${i}.parentId`,
        message: `no department ${d.parentId} to be the parent of ${d.id}`,
      })
  })
  if (members.length === 0 && population === undefined)
    problems.push({ path: 'members', message: 'a company without members: list some, or give a population' })
  if (!departmentIds.has(1)) problems.push({ path: 'departments', message: 'the root, id 1, is missing' })
  const known = new Set<string>()
  members.forEach((m, i) => {
    const key = m.userId.toLowerCase()
    if (known.has(key)) problems.push({ path: `members.${i}.userId`, message: `"${m.userId}" is there twice` })
    known.add(key)
    for (const id of m.departmentIds) {
      if (!departmentIds.has(id))
        problems.push({ path: `members.${i}.departmentIds`, message: `no department ${id}: add it to departments` })
    }
  })
  const tags = new Set(corpTags.flatMap((group) => tagIdsOf(group).tagIds))
  const seen = new Set<string>()
  contacts.forEach((c, i) => {
    if (seen.has(c.externalUserId)) {
      problems.push({ path: `contacts.${i}.externalUserId`, message: `"${c.externalUserId}" is there twice` })
    }
    seen.add(c.externalUserId)
    if (c.deletedAt !== undefined && c.deletedAt < c.addedAt) {
      problems.push({ path: `contacts.${i}.deletedAt`, message: 'must not lie before addedAt' })
    }
    for (const userId of c.followUserIds) {
      if (!known.has(userId.toLowerCase())) {
        problems.push({ path: `contacts.${i}.followUserIds`, message: `no member "${userId}": add it to members` })
      }
    }
    for (const tagId of c.tagIds) {
      if (!tags.has(tagId))
        problems.push({ path: `contacts.${i}.tagIds`, message: `no tag "${tagId}": add it to corpTags` })
    }
  })
  return problems
}

function pad(n: number, length: number): string {
  return String(n).padStart(length, '0')
}
