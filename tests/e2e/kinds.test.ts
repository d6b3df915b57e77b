import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)

/** The files that CONTRIBUTING names for one of each, and the lines in the records. */
const FILES: Record<string, string> = {
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
  test: (clause, build) => ({ bool: 'equals', of: build.trait('city'), to: clause.lives }),
  figure: (_clause, build) => build.trait('city'),
}
`,
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
  lint: () => [],
  asked: () => [],
  writeback: () => [],
}
`,
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
`,
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
`,
  'src/channels/letter.ts': `
import { traitsOf } from '../domain/touches/channels.js'
import type { Channel } from '../ports/channel.js'

export function createLetterChannel(): Channel {
  return {
    ...traitsOf('letter'),
    limits: { recipients: 1 },
    dispatch: ({ id }) => Promise.resolve({ kind: 'created', remoteId: id, refused: [] }),
    settle: () => Promise.resolve({ kind: 'absent' }),
    results: () => Promise.resolve({ recipients: [], final: true }),
    remind: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  }
}
`,
  'src/services/definitions/kinds/offers.ts': `
import { z } from 'zod'
import { asWritten, type DefinitionKind, listed, namesIn } from './kind.js'

const OfferFile = z.strictObject({ offers: z.array(z.strictObject({ id: z.string(), content: z.string() })).min(1) })

export const offers = {
  words: { zh: '优惠', en: 'offers' },
  schema: OfferFile,
  schemaName: 'offers',
  folder: { setting: 'offers', holds: 'file' },
  provides: { kind: 'coupon pool', names: (file) => namesIn('offers', file.offers) },
  references: (file) =>
    file.offers.map((offer, i) => ({ kind: 'content', name: offer.content, path: ['offers', i, 'content'] })),
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.offers)),
} as const satisfies DefinitionKind<typeof OfferFile>

const { references: _references, ...rest } = offers
// @ts-expect-error -- a kind that does not say what its files name
export const incomplete: DefinitionKind<typeof OfferFile> = rest
`,
}
const LINES: [file: string, imported: string, before: string, after: string][] = [
  [
    'src/domain/rules/rule.ts',
    "import { lives } from './clauses/lives.js'",
    'const simple = { event,',
    'const simple = { lives, event,',
  ],
  [
    'src/domain/tags/definition.ts',
    "import { fixed } from './kinds/fixed.js'",
    'const kinds = { flag,',
    'const kinds = { fixed, flag,',
  ],
  [
    'src/domain/journeys/steps.ts',
    "import { skip } from './steps/skip.js'",
    'const simple = { send,',
    'const simple = { skip, send,',
  ],
  [
    'src/domain/touches/channels.ts',
    "import { letter } from './kinds/letter.js'",
    'const kinds = { wecom,',
    'const kinds = { letter, wecom,',
  ],
  [
    'src/channels/registry.ts',
    "import { createLetterChannel } from './letter.js'",
    '  wecom: createWecomChannel,',
    '  letter: createLetterChannel,\n  wecom: createWecomChannel,',
  ],
  [
    'src/services/definitions/kinds.ts',
    "import { offers } from './kinds/offers.js'",
    'const kinds = { identity,',
    'const kinds = { offers, identity,',
  ],
  [
    'src/config.ts',
    '',
    'const Paths = z.strictObject({',
    "const Paths = z.strictObject({\n  offers: z.string().min(1).default('config/offers.yaml'),",
  ],
]

/** What the copy says of a journey, a tag, a channel and a definition of the new kinds. */
const ASK = `
import { writeFile } from 'node:fs/promises'
import { loadConfig } from './dist/src/config.js'
import { fileSchemas } from './dist/src/app/file-schemas.js'
import { checkDefinitions } from './dist/src/services/definitions/load-definitions.js'
import { Journey, placeSteps } from './dist/src/domain/journeys/definition.js'
import { decide } from './dist/src/domain/journeys/decide.js'
import { compileTouched } from './dist/src/domain/rules/compile.js'
import { Tag } from './dist/src/domain/tags/definition.js'
import { channelsBy } from './dist/src/domain/touches/channels.js'
import { missingChannels } from './dist/src/channels/registry.js'
const journey = Journey.parse({
  id: 'a-journey', name: 'a', enter: { when: { lives: '上海' } }, goal: { event: 'order_paid', within: '7d' },
  steps: [{ skip: true }, { send: { channel: 'letter', content: 'hello' } }],
})
const at = { now: new Date(0), timeZone: 'UTC' }
const tag = Tag.parse({ id: 'all_same', name: 'a', category: 'model', owner: 'crm', purpose: 'test', type: 'fixed', is: 'x' })
const options = { nowMs: 0, scope: { kind: 'all' }, segments: new Map() }
const query = compileTouched([{ id: tag.id, tag }], options, [journey.enter.when])
const figures = { traits: { city: '上海' }, identifierTypes: [], stored: {}, columns: {} }
await writeFile('config/offers.yaml', 'offers: [{ id: spring, content: follow-up }, { id: autumn, content: folow-up }]')
const { problems } = await checkDefinitions((await loadConfig({ file: 'config/service.yaml', env: {} })).paths)
console.log(JSON.stringify({
  problems: problems.map((p) => [p.file, p.path, p.message]),
  schema: fileSchemas.some((f) => f.name === 'offers'),
  places: placeSteps(journey.steps).length,
  first: decide(journey, { path: '0', arrivedAt: new Date(0) }, at),
  holds: query.holds(figures),
  tag: query.deltas([{ profileId: 1, figures }])[0].new,
  channels: Object.keys(channelsBy((name) => missingChannels('none')[name])),
}))
`

describe('a copy with one more clause, tag kind, step, channel and kind of definition', () => {
  let copy: string
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'siyu-kinds-'))
    for (const folder of ['src', 'connectors', 'sandbox', 'demo', 'bench', 'samples', 'config', 'journeys'])
      await cp(join(root, folder), join(copy, folder), {
        recursive: true,
        filter: (from) => !/\.(csv|xlsx|gz)$/.test(from),
      })
    for (const file of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
      await cp(join(root, file), join(copy, file))
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
    for (const [file, text] of Object.entries(FILES)) await writeFile(join(copy, file), text)
    for (const [file, imported, before, after] of LINES) {
      const text = await readFile(join(copy, file), 'utf8')
      expect(text).toContain(before)
      await writeFile(join(copy, file), `${imported}\n${text.replace(before, after)}`)
    }
  })
  afterAll(() => rm(copy, { recursive: true, force: true }))

  it('compiles by these files and lines alone, and knows them', async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const compiled = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: copy }).catch(
      (err: { stdout: string }) => err,
    )
    expect(compiled.stdout).toBe('')
    await writeFile(join(copy, 'ask.js'), ASK)
    const { stdout } = await run(process.execPath, ['ask.js'], { cwd: copy })
    expect(JSON.parse(stdout)).toEqual({
      problems: [['config/offers.yaml', 'offers.1.content', 'there is no content "folow-up"']],
      schema: true,
      places: 2,
      first: { kind: 'goto', path: '1' },
      holds: [true],
      tag: 'x',
      channels: ['letter', 'wecom', 'task'],
    })
    // Compiling everything takes half a minute of an idle machine's.
  }, 1_200_000)
})
