import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)

type OneMore = {
  /** How CONTRIBUTING's tables call it. */
  row: string
  name: string
  files: Readonly<Record<string, string>>
  lines: readonly [file: string, imported: string, before: string, after: string][]
}

/** One more of each kind: its files, and its lines in the records. */
const KINDS: readonly OneMore[] = [
  {
    row: 'rule clause',
    name: 'lives',
    files: {
      'src/domain/rules/clauses/lives.ts': `
import { z } from 'zod'
import { sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const Lives = z.strictObject({ lives: z.string() })

export const lives: Clause<z.infer<typeof Lives>> = {
  schema: Lives,
  words: { zh: '居住地', en: 'where she lives' },
  say: sayFields,
  parts: () => [],
  refersTo: () => [{ kind: 'trait', name: 'city', path: ['lives'] }],
  lint: () => [],
  demands: ({ lives }) => [{ of: 'trait city', tests: { is: lives } }],
  edges: () => [],
  test: (clause, build) => ({ bool: 'equals', of: build.trait('city'), to: clause.lives }),
  figure: (_clause, build) => build.trait('city'),
}

// @ts-expect-error -- a clause that does not say when time changes its answer
export const incomplete: Clause<z.infer<typeof Lives>> = {
  schema: lives.schema,
  words: lives.words,
  say: sayFields,
  parts: () => [],
  refersTo: () => [],
  lint: () => [],
  demands: () => [],
  test: (clause, build) => ({ bool: 'equals', of: build.trait('city'), to: clause.lives }),
  figure: (_clause, build) => build.trait('city'),
}
`,
    },
    lines: [
      [
        'src/domain/rules/rule.ts',
        "import { lives } from './clauses/lives.js'",
        'const simple = { event,',
        'const simple = { lives, event,',
      ],
    ],
  },
  {
    row: 'tag kind',
    name: 'fixed',
    files: {
      'src/domain/tags/kinds/fixed.ts': `
import { z } from 'zod'
import { constant } from '../../rules/comparisons.js'
import { common, type TagKind } from './kind.js'

const FixedTag = z.strictObject({ ...common, type: z.literal('fixed'), is: z.string().min(1) })

export const fixed: TagKind<typeof FixedTag> = {
  schema: FixedTag,
  words: { zh: '固定', en: 'the same for all' },
  say: (value) => value,
  rules: () => [],
  refersTo: () => [],
  edges: () => [],
  countedFrom: () => undefined,
  value: (tag) => constant(tag.is),
  values: (tag) => [tag.is],
  lint: () => [],
  asked: () => [],
  writeback: () => [],
}

const { writeback: _writeback, ...rest } = fixed
// @ts-expect-error -- a tag kind that does not say whether it can be written to WeCom
export const incomplete: TagKind<typeof FixedTag> = rest
`,
    },
    lines: [
      [
        'src/domain/tags/definition.ts',
        "import { fixed } from './kinds/fixed.js'",
        'const kinds = { flag,',
        'const kinds = { fixed, flag,',
      ],
    ],
  },
  {
    row: 'journey step',
    name: 'skip',
    files: {
      'src/domain/journeys/steps/skip.ts': `
import { z } from 'zod'
import { goTo } from '../decision.js'
import { common, type StepKind } from './step.js'

const Skip = z.strictObject({ ...common, skip: z.literal(true) })

export const skip: StepKind<z.infer<typeof Skip>> = {
  schema: Skip,
  words: { zh: '跳过', en: 'go on' },
  parts: () => [],
  refersTo: () => [],
  decide: (_step, { then }) => goTo(then),
}

const { decide: _decide, ...rest } = skip
// @ts-expect-error -- a step that decides nothing
export const incomplete: StepKind<z.infer<typeof Skip>> = rest
`,
    },
    lines: [
      [
        'src/domain/journeys/steps.ts',
        "import { skip } from './steps/skip.js'",
        'const simple = { send,',
        'const simple = { skip, send,',
      ],
    ],
  },
  {
    row: 'channel',
    name: 'letter',
    files: {
      'src/domain/touches/kinds/letter.ts': `
import type { ChannelKind } from './kind.js'

export const letter = {
  words: { zh: '信件', en: 'letter' },
  address: { kind: 'identifier', type: 'postal' },
  needsConfirmation: false,
  class: 'any',
  usesQuota: false,
  handsOverCode: false,
  inSteps: 'a letter',
} as const satisfies ChannelKind

const { usesQuota: _usesQuota, ...rest } = letter
// @ts-expect-error -- a channel that does not say whether it uses the quota of mass messages
export const incomplete: ChannelKind = rest
`,
      'src/adapters/letter/channels/letter.ts': `
import { traitsOf } from '../../../domain/touches/channels.js'
import type { Channel } from '../../../ports/channel.js'

/** What the post was given. */
export const posted: string[] = []

export function createLetterChannel(): Channel {
  return {
    ...traitsOf('letter'),
    limits: { recipients: 2 },
    dispatch: ({ id, sender, recipients, content }) => {
      posted.push([sender ?? 'nobody', ...recipients.map((r) => r.to), content.text].join(' '))
      return Promise.resolve({ kind: 'created', remoteId: id, refused: [] })
    },
    settle: () => Promise.resolve({ kind: 'absent' }),
    results: () => Promise.resolve({ recipients: [], final: true }),
    remind: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  }
}
`,
    },
    lines: [
      [
        'src/domain/touches/channels.ts',
        "import { letter } from './kinds/letter.js'",
        'const kinds = { wecom,',
        'const kinds = { letter, wecom,',
      ],
      [
        'src/app/channels.ts',
        "import { createLetterChannel } from '../adapters/letter/channels/letter.js'",
        '  wecom: createWecomChannel,',
        `  letter: createLetterChannel,
  wecom: createWecomChannel,`,
      ],
    ],
  },
  {
    row: 'kind of definition',
    name: 'offers',
    files: {
      'src/services/definitions/kinds/offers.ts': `
import { z } from 'zod'
import { asWritten, type DefinitionKind, listed } from './kind.js'

const OfferFile = z.strictObject({ offers: z.array(z.strictObject({ id: z.string(), content: z.string() })).min(1) })

export const offers = {
  words: { zh: '优惠', en: 'offers' },
  schema: OfferFile,
  schemaName: 'offers',
  folder: { setting: 'offers', holds: 'file' },
  provides: { kind: 'offer', at: ['offers', '*', 'id'] },
  references: ({ offers = [] }) =>
    offers.map((offer, i) => ({ kind: 'content', name: offer.content, path: ['offers', i, 'content'] })),
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.offers)),
} as const satisfies DefinitionKind<typeof OfferFile>

const { references: _references, ...rest } = offers
// @ts-expect-error -- a kind that does not say what its files name
export const incomplete: DefinitionKind<typeof OfferFile> = rest
`,
    },
    lines: [
      [
        'src/services/definitions/kinds.ts',
        "import { offers } from './kinds/offers.js'",
        'const kinds = {',
        'const kinds = { offers,',
      ],
      ['src/domain/reference.ts', '', "'coupon pool' | 'journey'", "'coupon pool' | 'journey' | 'offer'"],
      [
        'src/config.ts',
        '',
        'const Paths = z.strictObject({',
        `const Paths = z.strictObject({
  offers: z.string().min(1).default('config/offers.yaml'),`,
      ],
    ],
  },
  {
    row: 'connector',
    name: 'till',
    files: {
      'connectors/till/index.ts': `
import { z } from 'zod'
import { defineConnector } from '../../src/connector.js'

/** What people write: \`config/till.yaml\`. */
export const TillFile = z.strictObject({ identifier: z.string() })
type TillFile = z.infer<typeof TillFile>
const Receipt = z.strictObject({ no: z.string(), card: z.string(), cents: z.int() })

export const till = ({ identifier }: TillFile) =>
  defineConnector({
    name: 'till',
    payload: Receipt,
    toRecords: ({ no, card, cents }, now) => [
      {
        ref: \`till:\${no}\`,
        source: 'till',
        observedAt: now,
        identifiers: [{ type: identifier, value: card }],
        events: [{ id: \`till:\${no}\`, name: 'order_paid', occurredAt: now, amountMinor: cents }],
      },
    ],
  })

// @ts-expect-error -- a connector that does not say what comes in
export const incomplete = defineConnector({ name: 'till', toRecords: () => [] })
`,
    },
    lines: [
      [
        'src/app/connectors.ts',
        "import { TillFile } from '../../connectors/till/index.js'",
        'export const connectors = {',
        `export const connectors = {
  till: { schemaName: 'till', schema: TillFile, files: ({ till }) => (till === undefined ? [] : [till]) },`,
      ],
      [
        'src/config.ts',
        '',
        'export const ServiceConfig = z.strictObject({',
        `export const ServiceConfig = z.strictObject({
  till: z.string().min(1).optional(),`,
      ],
    ],
  },
  {
    row: 'command',
    name: 'hello',
    files: {
      'src/cli/hello.ts': `
import { type CommandContext, examples, type RegisterCommand } from './options.js'

export const registerHello: RegisterCommand = (program, { env }: CommandContext) => {
  program
    .command('hello')
    .description('问好 · says hello')
    .addHelpText('after', examples('siyu hello'))
    .action(() => void process.stdout.write(\`hello \${env['USER'] ?? ''}\\n\`))
}

// @ts-expect-error -- a command that joins no program
export const incomplete: RegisterCommand = (program: string) => void program
`,
    },
    lines: [
      [
        'src/cli/program.ts',
        "import { registerHello } from './hello.js'",
        '  registerDemo,',
        `  registerHello,
  registerDemo,`,
      ],
      [
        'src/app/doors.ts',
        '',
        "  demo: { why: 'plays",
        `  hello: { why: 'says hello and nothing else' },
  demo: { why: 'plays`,
      ],
    ],
  },
]

/** What the copy says of one of each. */
const ASK = `
import { appendFile, writeFile } from 'node:fs/promises'
import { loadConfig } from './dist/src/config.js'
import { till } from './dist/connectors/till/index.js'
import { checkSources } from './dist/src/app/check-sources.js'
import { COMMANDS } from './dist/src/app/doors.js'
import { fileSchemas } from './dist/src/app/file-schemas.js'
import { createProgram } from './dist/src/cli/program.js'
import { checkDefinitions } from './dist/src/services/definitions/load-definitions.js'
import { Journey, placeSteps } from './dist/src/domain/journeys/definition.js'
import { decide } from './dist/src/domain/journeys/decide.js'
import { compileTouched } from './dist/src/domain/rules/compile.js'
import { Tag } from './dist/src/domain/tags/definition.js'
import { channelsBy } from './dist/src/domain/touches/channels.js'
import { openChannels } from './dist/src/app/channels.js'
import { posted } from './dist/src/adapters/letter/channels/letter.js'
import { openSqliteDocuments } from './dist/src/adapters/documents/sqlite.js'
import { openCollections } from './dist/src/stored/collections.js'
import { releaseTouches } from './dist/src/services/touches/release-touches.js'
import { sendDispatches } from './dist/src/services/touches/send-dispatches.js'
import { collectResults } from './dist/src/services/touches/collect-results.js'
import { quietLog } from './dist/src/log.js'
import { DAY_MS, ManualClock } from './dist/src/time.js'
const journey = Journey.parse({
  id: 'a-journey', name: 'a', enter: { when: { lives: '上海' } }, goal: { event: 'order_paid', within: '7d' },
  steps: [{ skip: true }, { send: { channel: 'letter', content: 'hello' } }],
})
const at = { now: new Date(0), timeZone: 'UTC' }
const tag = Tag.parse({ id: 'all_same', name: 'a', category: 'model', owner: 'crm', purpose: 'test', type: 'fixed', is: 'x' })
const options = { nowMs: 0, scope: { kind: 'all' }, segments: new Map(), tags: [tag] }
const query = compileTouched([{ id: tag.id, tag }], options, [journey.enter.when])
const figures = { traits: { city: '上海' }, identifierTypes: [], stored: {}, columns: {} }
await writeFile('config/offers.yaml', 'offers: [{ id: spring, content: welcome }, { id: autumn, content: welcom }]')
await writeFile('config/till.yaml', 'identifyer: member_id')
await appendFile('config/service.yaml', '\\ntill: config/till.yaml\\n')
const config = await loadConfig({ file: 'config/service.yaml', env: {} })
const { problems } = await checkDefinitions(config.paths)
const program = createProgram({ env: {}, signal: new AbortController().signal })

// Three people with an address of that kind, and one without: two letters to three of them.
const store = openSqliteDocuments({ file: ':memory:', fsync: false })
const docs = await openCollections(store)
const clock = new ManualClock(new Date('2026-03-02T02:00:00Z'))
const person = (_id, type) => ({
  ...{ _id, anchor: 'member_id:m' + _id, createdAt: at.now, traits: {}, contacts: [], mergedIds: [] },
  identifiers: [{ type, value: 'street ' + _id, source: 'shop', since: at.now }],
})
const letter = (profileId) => ({
  ...{ _id: 'letter:' + profileId, profileId, journeyId: 'a-journey', runId: 'run:' + profileId, stepId: 's' },
  ...{ channel: 'letter', contentId: 'hello', state: 'planned', plannedAt: clock.now(), releaseAt: clock.now() },
})
await docs.profiles.insert([person(1, 'postal'), person(2, 'postal'), person(3, 'postal'), person(4, 'member_id')])
await docs.touches.insert([letter(1), letter(2), letter(3), letter(4)])
const policy = {
  ...{ quietHours: { from: '21:00', to: '09:00' }, holidays: [], caps: [], priority: [], remindAfter: [] },
  ...{ wecomQuota: { mode: 'day_1', timeZone: 'UTC' }, confirmWithin: DAY_MS },
}
const deps = {
  ...{ clock, log: quietLog, docs, channels: openChannels({ client: undefined, clock }), linkBase: 'https://m.example.com' },
  ...{ jobs: { add: () => Promise.resolve() }, brand: { name: 'a', timeZone: 'Asia/Shanghai', locale: 'zh' } },
  ...{ sending: { mode: 'live', allowList: [] }, worker: { elapsedMs: () => 0, alone: true, fence: 0, isLate: () => false } },
  definitions: {
    current: { version: 0, policy, contents: new Map([['hello', { id: 'hello', text: 'hello' }]]), withdrawn: new Set(), corrected: new Map() },
  },
}
await releaseTouches(deps)
await sendDispatches(deps)
clock.set(new Date(clock.now().getTime() + 2 * DAY_MS))
await collectResults(deps)
const letters = (await docs.touches.find({})).map((t) => t.reason ?? t.state)
await store.close()
console.log(JSON.stringify({
  letters,
  posted,
  problems: problems.map((p) => [p.file, p.path, p.message]),
  sources: (await checkSources(config)).map((p) => [p.file, p.path]),
  schemas: fileSchemas.map((f) => f.name).filter((name) => ['offers', 'till'].includes(name)),
  records: till({ identifier: 'member_id' }).toRecords({ no: '7', card: 'm1', cents: 100 }, at.now).map((r) => r.ref),
  commands: program.commands.map((c) => c.name()).filter((name) => COMMANDS[name]?.why === 'says hello and nothing else'),
  places: placeSteps(journey.steps).length,
  first: decide(journey, { path: '0', arrivedAt: new Date(0) }, at),
  holds: query.holds(figures),
  tag: query.deltas([{ profileId: 1, figures }])[0].new,
  channels: Object.keys(channelsBy((name) => deps.channels[name])),
}))
`

describe('a copy with one more of each kind', () => {
  let copy: string
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'siyu-kinds-'))
    for (const folder of [
      'src',
      'connectors',
      'sandbox',
      'demo',
      'bench',
      'samples',
      'config',
      'examples',
      'journeys',
      'tests/support',
    ])
      await cp(join(root, folder), join(copy, folder), {
        recursive: true,
        filter: (from) => !/\.(csv|xlsx|gz)$/.test(from),
      })
    for (const file of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
      await cp(join(root, file), join(copy, file))
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
    for (const { files, lines } of KINDS) {
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(copy, file)), { recursive: true })
        await writeFile(join(copy, file), text)
      }
      for (const [file, imported, before, after] of lines) {
        const text = await readFile(join(copy, file), 'utf8')
        expect(text).toContain(before)
        await writeFile(join(copy, file), `${imported}\n${text.replace(before, after)}`)
      }
    }
  })
  afterAll(() => rm(copy, { recursive: true, force: true }))

  it.each(KINDS)(
    '$row: by the files that CONTRIBUTING names, no more and no fewer',
    async ({ row, name, files, lines }) => {
      const text = await readFile(join(root, 'CONTRIBUTING.md'), 'utf8')
      const found = text.split('\n').filter((line) => new RegExp(`^\\| ${row} +\\| .(src|connectors)/`).test(line))
      expect(found).toHaveLength(1)
      const named = [...found[0]!.matchAll(/`((?:src|connectors)\/[^`]+)`/g)].map(([, file]) =>
        file!.replaceAll(/<\w+>/g, name),
      )
      const touched = [...Object.keys(files), ...lines.map(([file]) => file)]
      const asNamed = touched.map(
        (file) => named.find((place) => place.endsWith('/') && file.startsWith(place)) ?? file,
      )
      expect([...new Set(asNamed)].sort()).toEqual(named.sort())
    },
  )

  it('compiles by these files and lines alone, and knows them', async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const compiled = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: copy }).catch(
      (err: { stdout: string }) => err,
    )
    expect(compiled.stdout).toBe('')
    await writeFile(join(copy, 'ask.js'), ASK)
    const { stdout } = await run(process.execPath, ['ask.js'], { cwd: copy })
    expect(JSON.parse(stdout)).toEqual({
      problems: [['config/offers.yaml', 'offers.1.content', '没有内容 "welcom" · there is no content "welcom"']],
      sources: [
        ['config/till.yaml', 'identifier'],
        ['config/till.yaml', 'identifyer'],
      ],
      schemas: ['offers', 'till'],
      records: ['till:7'],
      commands: ['hello'],
      places: 2,
      first: { kind: 'goto', path: '1' },
      holds: [true],
      tag: 'x',
      channels: ['letter', 'wecom', 'task'],
      letters: ['created', 'created', 'created', 'no_address'],
      posted: ['nobody street 1 street 2 hello', 'nobody street 3 hello'],
    })
    const help = await run(process.execPath, ['dist/src/main.js', 'hello', '--help'], { cwd: copy })
    expect(help.stdout).toContain('问好')
    // Compiling everything takes half a minute of an idle machine's.
  }, 1_200_000)
})
