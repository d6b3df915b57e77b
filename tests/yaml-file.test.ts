import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { YAML_BOUNDS } from '../src/bounds.js'
import { formatProblem, InvalidInputError, type Problem } from '../src/errors.js'
import { said } from '../src/said.js'
import { loadYaml, parseYaml, parseYamlText, readYaml } from '../src/yaml-file.js'

const Step = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('wait'), duration: z.string().describe('how long, e.g. 2d') }),
  z.strictObject({ type: z.literal('exit'), reason: z.string().optional() }),
])
const Plan = z.strictObject({
  id: z.string(),
  steps: z.array(Step).default([]),
  weights: z.record(z.string(), z.number()).optional(),
})

function problemsOf(run: () => unknown): readonly Problem[] {
  try {
    run()
  } catch (err) {
    if (err instanceof InvalidInputError) return err.problems
    throw err
  }
  return []
}

function check(text: string): Problem[] {
  const result = parseYaml(Plan, parseYamlText(text, 'plan.yaml'))
  return 'problems' in result ? result.problems : []
}

describe('what zod finds', () => {
  const Shape = z.strictObject({
    enter: z.union([
      z.strictObject({ on: z.string() }),
      z.strictObject({ every: z.string().min(3), when: z.strictObject({ event: z.string() }) }),
    ]),
    ratio: z.union([z.number(), z.string().regex(/^\d+%$/)]).optional(),
    channel: z.enum(['wecom', 'coupon']).optional(),
    exit: z.literal(true).optional(),
    steps: z.array(z.strictObject({ max: z.number().int().min(1).max(9) })).min(1),
  })
  const told = (text: string) => {
    const result = parseYaml(Shape, parseYamlText(text, 'x.yaml'))
    return 'problems' in result ? result.problems.map(({ path, message }) => `${path}: ${message}`) : []
  }
  const whole = 'enter: { on: a }\nsteps: [{ max: 1 }]\n'

  it.each<[string, string, string[]]>([
    ['nothing', '# nothing\n', [': 文件是空的 · the file is empty']],
    [
      'what is not there',
      'steps: [{}]\n',
      ['enter: 缺少这个字段 · this field is missing', 'steps.0.max: 缺少这个字段 · this field is missing'],
    ],
    ['text for a list', 'enter: { on: a }\nsteps: a\n', ['steps: 要写成列表（写的是 "a"） · must be a list (got "a")']],
    [
      'text for fields, and text for a number',
      'enter: { on: a }\nsteps: [a, { max: two }]\n',
      [
        'steps.0: 要写成一组字段（名: 值）（写的是 "a"） · must be fields (name: value) (got "a")',
        'steps.1.max: 要写数字（写的是 "two"） · must be a number (got "two")',
      ],
    ],
    [
      'a list of nothing',
      'enter: { on: a }\nsteps: []\n',
      ['steps: 至少 1 项（写的是 []） · must have at least 1 item (got [])'],
    ],
    [
      'what is out of bounds',
      'enter: { on: a }\nsteps: [{ max: 0 }, { max: 10 }, { max: 1.5 }]\n',
      [
        'steps.0.max: 至少 1（写的是 0） · must be at least 1 (got 0)',
        'steps.1.max: 最多 9（写的是 10） · must be at most 9 (got 10)',
        'steps.2.max: 要写整数（写的是 1.5） · must be a whole number (got 1.5)',
      ],
    ],
    [
      'another word than those there are',
      `${whole}channel: sms\nexit: yes\n`,
      [
        'channel: 只能写其中之一：wecom、coupon（写的是 "sms"） · must be one of: wecom, coupon (got "sms")',
        'exit: 只能写 true（写的是 "yes"） · must be true (got "yes")',
      ],
    ],
    [
      'what fits no way to write it',
      `${whole}ratio: [1]\n`,
      ['ratio: 这里不能这样写（写的是 [1]） · cannot be written like this here (got [1])'],
    ],
    [
      'one way to write it, wrongly: of the way whose fields they are',
      "steps: [{ max: 1 }]\nenter: { every: 'x', when: { event: 2 } }\n",
      [
        'enter.every: 至少 3 个字符（写的是 "x"） · must have at least 3 characters (got "x")',
        'enter.when.event: 要写文字（写的是 2） · must be text (got 2)',
      ],
    ],
    [
      'two ways to write it at once: of the one that lacks nothing',
      'steps: [{ max: 1 }]\nenter: { on: a, when: { event: b } }\n',
      ['enter.when: 没有 "when" 这个字段 · unknown field "when"'],
    ],
  ])('is said in plain words of %s', (_what, text, expected) => {
    expect(told(text)).toEqual(expected)
  })

  it('is the colon where a field is known without it', () => {
    const problems = told('enter：{ on: a }\nsteps: [{ max:1 }]\n').join('\n')
    expect(problems).toContain('the colon is the full-width')
    expect(problems).toContain('steps.0.max:1: 冒号后面没有空格')
  })
})

describe('parseYamlText', () => {
  it('takes as many fields and bytes as a file may hold, and no more', () => {
    const fields = (n: number) => Array.from({ length: n }, (_, i) => `f${i}: 1`).join('\n')
    const { fields: most, bytes } = YAML_BOUNDS
    expect(Object.keys(parseYamlText(fields(most), 'f.yaml').value as object)).toHaveLength(most)
    expect(problemsOf(() => parseYamlText(fields(most + 1), 'f.yaml'))[0]!.message).toMatch(`${most} fields`)
    expect(problemsOf(() => parseYamlText(' '.repeat(bytes + 1), 'f.yaml'))[0]!.message).toMatch(`${bytes} bytes`)
    expect(check(`weights:\n${' a: x\n'.repeat(1)}${fields(1_000)}`)).toHaveLength(YAML_BOUNDS.problems)
  })

  it.each([
    ['a duplicate key', 'a: 1\nb: 2\na: 3\n', 3],
    ['a tab as indentation', 'a:\n\tb: 1\n', 2],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n', 3],
    ['an unclosed bracket', 'a: 1\nb: [1, 2\n', 2],
    ['an unclosed bracket further up', 'a: [1, 2\nb: 3\nc: 4\n', 1],
    ['an unclosed brace', 'a: 1\nb: { c: 1\nd: 3\n', 2],
    ['a second document', 'a: 1\n---\nb: 2\n', 2],
    ['an unknown alias', 'a: 1\nb: *nobody\n', 2],
    ['an unknown tag', 'a: 1\nb: !!js/function x\n', 2],
  ])('reports %s with its line', (_what, text, line) => {
    const problems = problemsOf(() => parseYamlText(text, 'x.yaml'))
    expect(problems.length).toBeGreaterThan(0)
    expect(problems[0]).toMatchObject({ file: 'x.yaml', line })
  })

  it.each<[string, string, number, RegExp]>([
    [
      'a quote that is never closed',
      'a: 1\nname: "abc\ntext: def\nmore: x\n',
      2,
      /quote " on this line is never closed/,
    ],
    ['a quote that the next one closes', 'l:\n  - id: a\n    n: "abc\n  - id: b\n    n: "def"\n', 3, /never closed/],
    ['a single quote', "a: 1\nname: 'abc\ntext: def\n", 2, /quote ' on this line/],
    ['a full-width colon', 'id: x\nholdout：10%\nsteps:\n  - wait: 2d\n', 2, /holdout: 10%/],
    ['a full-width colon at the end', 'id: x\nholdout：10%\n', 2, /full-width/],
    ['a full-width comma', 'a: 1\nwhen: { trait: city，is: x }\n', 2, /full-width "，"/],
    ['no space after a colon', 'id: x\nholdout:10%\nsteps: []\n', 2, /no space after the colon/],
    ['unquoted braces', 'l:\n  - id: x\n    text: {{ brand }} hello\n', 3, /begins with \{\{/],
    ['braces alone', 'text: {{ brand }}\n', 1, /'\{\{ brand \}\} hello'/],
    ['a tab', 'a:\n  - id: x\n\t  text: y\n', 3, /spaces, not tabs/],
    ['a character that needs quotes', 'a: @x\n', 1, /quote the text/],
  ])('says of %s what it is, once, and on its own line', (_what, text, line, said) => {
    const problems = problemsOf(() => parseYamlText(text, 'x.yaml'))
    expect(problems).toEqual([expect.objectContaining({ line })])
    expect(formatProblem(problems[0]!)).toMatch(said)
    expect(formatProblem(problems[0]!)).toMatch(/[\u4e00-\u9fff]/)
  })

  it.each<[string, string, string]>([
    ['an id with leading zeros', 'a:\n  is: 0012\n', '0012'],
    ['an id of 19 digits', 'a:\n  is: 6917529027641081857\n', '6917529027641081857'],
    ['an id of 16 digits', 'a:\n  is: 4111111111111111\n', '4111111111111111'],
    ['an id with an e', 'a:\n  is: 12e5\n', '12e5'],
    ['a phone with its country', 'a:\n  is: +8610000000001\n', '+8610000000001'],
    ['hexadecimal', 'a:\n  is: 0x1F\n', '0x1F'],
  ])('has doubts about %s without quotes', (_what, text, written) => {
    const { doubts } = parseYamlText(text, 'x.yaml')
    expect(doubts).toMatchObject([{ file: 'x.yaml', line: 2, path: 'a.is' }])
    expect(doubts[0]!.message).toContain(written)
    expect(doubts[0]!.hint).toContain(`"${written}"`)
  })

  it('has doubts about lists and fields that nothing separates', () => {
    const { doubts } = parseYamlText('a: [上海，杭州]\nb: { trait：city }\n', 'x.yaml')
    expect(doubts.map(({ line, path }) => [line, path])).toEqual([
      [1, 'a.0'],
      [2, 'b.trait：city'],
    ])
  })

  it.each([
    'a: [12, 1.10, 0.5, -3, 0, 123456789012345]\n',
    'a: ["0012", \'6917529027641081857\', "上海，杭州"]\n',
    'a: { zh: 大单客户：问候，好, en: Big }\n',
    'a: 你好，世界：好\nb: http://x.y/z\nc: 09:30\nd: 2026-01-02\n',
  ])('has none about %j', (text) => {
    expect(parseYamlText(text, 'x.yaml').doubts).toEqual([])
  })

  it('refuses aliases that multiply', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    expect(problemsOf(() => parseYamlText(bomb.join('\n'), 'x.yaml'))).toMatchObject([
      { file: 'x.yaml', hint: said('不用 *别名，把值直接写出来', 'write the values out instead of *aliases') },
    ])
  })

  it('knows the line of nested nodes, of aliases and of the nearest ancestor of what is missing', () => {
    const yaml = parseYamlText(
      'a: &x\n  b: 1\nlist:\n  - one\n  - two: 2\n    three: 3\nsame: *x\ndotted.key:\n  z: 1\n',
      'x.yaml',
    )
    expect(yaml.lineOf(['a', 'b'])).toBe(2)
    expect(yaml.lineOf(['list', 1, 'three'])).toBe(6)
    expect(yaml.lineOf(['list', 1, 'absent', 'deeper'])).toBe(5)
    expect(yaml.lineOf(['same', 'b'])).toBe(2)
    expect(yaml.lineOf(['dotted', 'key', 'z'])).toBe(9)
    expect(yaml.lineOf([])).toBe(1)
    expect(parseYamlText('', 'x.yaml').lineOf(['a'])).toBeUndefined()
  })

  it('keeps `on`, `yes` and bare numbers as keys that are strings', () => {
    expect(parseYamlText('on: yes\n2024: x\n', 'x.yaml').value).toEqual({ on: 'yes', '2024': 'x' })
  })
})

describe('parseYaml', () => {
  it('gives the parsed value when all is well', () => {
    expect(parseYaml(Plan, parseYamlText('id: a', 'plan.yaml'))).toEqual({ value: { id: 'a', steps: [] } })
  })

  it('reports every problem with line, path and the value got', () => {
    const problems = check('id: 7\nsteps:\n  - type: wait\n    duration: 5\nweights:\n  a.b: x\n')
    expect(problems.map(({ line, path }) => ({ line, path }))).toEqual([
      { line: 1, path: 'id' },
      { line: 4, path: 'steps.0.duration' },
      { line: 6, path: 'weights.a.b' },
    ])
    expect(problems[0]!.message).toContain('(got 7)')
  })

  it.each([
    ['a swap, at the top', 'id: a\nsetps: []\n', 2, said('是不是 "steps"？', 'did you mean "steps"?')],
    [
      'a letter less, in the option that was meant',
      'id: a\nsteps:\n  - type: wait\n    duration: 1d\n    typ: x\n',
      5,
      said('是不是 "type"？', 'did you mean "type"?'),
    ],
    [
      'nothing like it',
      'id: a\nsteps:\n  - type: exit\n    whatever: 1\n',
      4,
      said('可用的字段：type, reason', 'known fields: type, reason'),
    ],
  ])('helps with an unknown field: %s', (_what, text, line, hint) => {
    expect(check(text)).toMatchObject([{ line, hint }])
  })

  it.each([
    ['wait:2d', 'wait: 2d'],
    ['wait：2d', 'holdout: 10%'],
  ])('says of a step %j what is missing', (step, said) => {
    const [problem] = check(`id: a\nsteps:\n  - ${step}\n`)
    expect(problem).toMatchObject({ line: 3, path: 'steps.0' })
    expect(problem?.hint).toContain(said)
  })

  it('does not take a free key for a misspelt one', () => {
    const schema = z.union([z.strictObject({ alpha: z.number() }), z.record(z.string(), z.number())])
    const result = parseYaml(schema, parseYamlText('alpah: x\n', 'x.yaml'))
    expect(JSON.stringify(result)).toContain('alpah')
    expect(JSON.stringify(result)).not.toContain('did you mean')
  })

  it('explains a field that is missing by its description', () => {
    expect(check('id: a\nsteps:\n  - type: wait\n')).toMatchObject([
      { file: 'plan.yaml', line: 3, path: 'steps.0.duration', hint: 'how long, e.g. 2d' },
    ])
  })
})

describe('readYaml and loadYaml', () => {
  it('says which file was not found', async () => {
    await expect(readYaml('no/such.yaml')).rejects.toMatchObject({
      code: 'invalid_input',
      problems: [{ file: 'no/such.yaml', message: said('没有这个文件', 'file not found') }],
    })
  })

  it.each<[string, Buffer, string, number]>([
    ['GBK', Buffer.from([0x61, 0x3a, 0x20, 0x31, 0x0a, 0x62, 0x3a, 0x20, 0xc9, 0xcf, 0xba, 0xa3, 0x0a]), 'GB18030', 2],
    ['UTF-16', Buffer.from('\ufeffa: 上海\n', 'utf16le'), 'UTF-16', 1],
  ])('refuses a file in %s, with the line and the way out', async (_what, bytes, encoding, line) => {
    const dir = await mkdtemp(join(tmpdir(), 'siyu-yaml-'))
    try {
      const file = join(dir, 'x.yaml')
      await writeFile(file, bytes)
      await expect(readYaml(file)).rejects.toMatchObject({ problems: [{ file, line }] })
      await expect(readYaml(file)).rejects.toThrow(new RegExp(`looks like ${encoding}.*iconv -f ${encoding} -t UTF-8`))
      await writeFile(file, '\ufeffa: 上海\n')
      expect((await readYaml(file)).value).toEqual({ a: '上海' })
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('reads a file through its schema or throws all its problems', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'siyu-yaml-'))
    try {
      const good = join(dir, 'good.yaml')
      const bad = join(dir, 'bad.yaml')
      await writeFile(good, 'id: x\n')
      await writeFile(bad, 'id: 1\nsteps: 2\n')
      expect(await loadYaml(Plan, good)).toEqual({ id: 'x', steps: [] })
      await expect(loadYaml(Plan, bad)).rejects.toMatchObject({ problems: [{ line: 1 }, { line: 2 }] })
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})
