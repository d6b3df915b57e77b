import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { z } from 'zod'
import { parseRequest } from '../../sandbox/http/core/numbers.js'
import type { Sandbox } from '../../sandbox/sandbox.js'

const endpoint = await import('../../sandbox/http/core/endpoint.js')
/** What each path reads its requests by. */
const schemas = new Map<string, Map<string, z.ZodType>>()
let path = ''
const read: typeof endpoint.read = (schema, params) => {
  const known = schemas.get(path) ?? new Map<string, z.ZodType>()
  schemas.set(path, known.set(JSON.stringify(inputOf(schema)), schema))
  return endpoint.read(schema, params)
}
jest.unstable_mockModule('../../sandbox/http/core/endpoint.js', () => ({ ...endpoint, read }))
const { allEndpoints } = await import('../../sandbox/http/wecom/endpoints.js')
const { open, client } = await import('./support.js')
const { openWorld } = await import('./world/support.js')
const MESSAGE_TYPES = ['text', 'image', 'link', 'miniprogram', 'news', 'template_card', 'location']

type Shape = {
  type?: string
  properties?: Record<string, Shape>
  required?: string[]
  items?: Shape
  prefixItems?: Shape[]
  minItems?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minLength?: number
  pattern?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Shape[]
  oneOf?: Shape[]
  allOf?: Shape[]
}

function inputOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape
}

/** A request by the schema, and the same with every number as its text. Several, where there is a choice. */
type Sample = { given: unknown; asText: unknown; numbers: number }

function samplesOf(shape: Shape): Sample[] {
  const same = (given: unknown): Sample[] =>
    typeof given === 'number' ? [{ given, asText: String(given), numbers: 1 }] : [{ given, asText: given, numbers: 0 }]
  const choice = shape.anyOf ?? shape.oneOf
  if (choice !== undefined) {
    const takesText = choice.some((one) => one.type === 'string')
    return choice
      .filter((one) => one.type !== 'null')
      .flatMap(samplesOf)
      .filter((one) => !takesText || typeof one.given !== 'number')
  }
  if (shape.const !== undefined) return same(shape.const)
  if (shape.enum !== undefined) return same(shape.enum[0])
  if (shape.type === 'integer' || shape.type === 'number') {
    const low = Math.max(
      shape.minimum ?? 1,
      (shape.exclusiveMinimum ?? 0) + (shape.exclusiveMinimum === undefined ? 0 : 1),
    )
    return same(Math.min(Math.max(low, 1), shape.maximum ?? 1e9))
  }
  if (shape.type === 'string') {
    const texts = ['x'.repeat(Math.max(1, shape.minLength ?? 1)), '0'.repeat(32)]
    return same(texts.find((text) => new RegExp(shape.pattern ?? '').test(text)) ?? texts[0])
  }
  if (shape.type === 'boolean') return same(true)
  if (shape.type === 'array') {
    const items = shape.prefixItems ?? Array<Shape>(Math.max(1, shape.minItems ?? 1)).fill(shape.items ?? {})
    const each = items.map((item) => samplesOf(item)[0] ?? same('x')[0]!)
    return [{ given: each.map((s) => s.given), asText: each.map((s) => s.asText), numbers: sum(each) }]
  }
  if (shape.type === 'object') {
    const fields = Object.entries(shape.properties ?? {}).map(([key, field]) => ({ key, samples: samplesOf(field) }))
    const most = Math.max(1, ...fields.map((f) => f.samples.length))
    return Array.from({ length: most }, (_, n) => {
      const chosen = fields.flatMap(({ key, samples }) => {
        const sample = samples[n] ?? samples[0] ?? (shape.required?.includes(key) === true ? same('1')[0] : undefined)
        return sample === undefined ? [] : [{ key, ...sample }]
      })
      return {
        given: Object.fromEntries(chosen.map((s) => [s.key, s.given])),
        asText: Object.fromEntries(chosen.map((s) => [s.key, s.asText])),
        numbers: sum(chosen),
      }
    })
  }
  return []
}

function sum(samples: readonly { numbers: number }[]): number {
  return samples.reduce((total, s) => total + s.numbers, 0)
}

let sandbox: Sandbox
const stated: { path: string; schema: z.ZodType; sample: Sample }[] = []
const unfit: string[] = []

beforeAll(async () => {
  sandbox = await open(undefined, { limits: false })
  const api = await client(sandbox)
  const ask = async (of: string, body: unknown) => {
    path = of
    await api.post(of.replace('/cgi-bin/', ''), body as object)
  }
  const paths = Object.keys(allEndpoints(openWorld(), false)).filter((p) => p.startsWith('/cgi-bin/'))
  for (const of of paths) {
    await ask(of, {})
    for (const schema of [...(schemas.get(of)?.values() ?? [])])
      for (const { given } of samplesOf(inputOf(schema)))
        for (const msgtype of [undefined, ...MESSAGE_TYPES])
          await ask(of, { ...(given as object), ...(msgtype !== undefined && { msgtype, [msgtype]: {} }) })
  }
  for (const [of, known] of schemas)
    for (const schema of known.values())
      for (const sample of samplesOf(inputOf(schema))) {
        if (sample.numbers === 0) continue
        if (schema.safeParse(sample.given).success) stated.push({ path: of, schema, sample })
        else unfit.push(of)
      }
})
afterAll(() => sandbox.close())

describe('numbers of a request to the sandbox', () => {
  it('may come as their texts, at every endpoint that reads any', () => {
    for (const { path: of, schema, sample } of stated)
      expect({ of, read: endpoint.read(schema, sample.asText as Record<string, unknown>) }).toEqual({
        of,
        read: endpoint.read(schema, sample.given as Record<string, unknown>),
      })
    // What was found in this way is not nothing.
    expect(unfit).toEqual([])
    expect(new Set(stated.map((s) => s.path)).size).toBeGreaterThanOrEqual(57)
  })

  it.each<[string, z.ZodType, unknown, unknown]>([
    ['a number', z.object({ type: z.int() }), { type: '2' }, { type: 2 }],
    ['a fraction', z.object({ ratio: z.number() }), { ratio: '-1.5' }, { ratio: -1.5 }],
    ['a number in a list', z.object({ ids: z.array(z.int()) }), { ids: ['1', 2] }, { ids: [1, 2] }],
    ['one that may be missing', z.object({ n: z.int().min(1).nullish() }), { n: '7' }, { n: 7 }],
    ['one with a default', z.object({ n: z.int().default(3) }), { n: '7' }, { n: 7 }],
    ['one of two', z.object({ n: z.union([z.literal(1), z.literal(2)]) }), { n: '2' }, { n: 2 }],
    [
      'what tells two kinds apart',
      z.union([z.object({ type: z.literal(1), id: z.string() }), z.object({ type: z.literal(2), id: z.int() })]),
      { type: '2', id: '5' },
      { type: 2, id: 5 },
    ],
    ['a text that may look like a number', z.object({ state: z.string() }), { state: '2' }, { state: '2' }],
    ['text or number', z.object({ id: z.union([z.string(), z.int()]) }), { id: '2' }, { id: '2' }],
  ])('%s', (_what, schema, given, expected) => {
    expect(parseRequest(schema, given).data).toEqual(expected)
  })

  it.each(['', ' 2', '2x', '0x2', '1e3', 'two'])('%j is none', (text) => {
    expect(parseRequest(z.object({ n: z.int() }), { n: text }).success).toBe(false)
  })
})
