import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { InvalidInputError, type Problem } from '../src/errors.js'
import { loadYaml, nearest, parseYaml, parseYamlText, readYaml } from '../src/yaml-file.js'

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

describe('parseYamlText', () => {
  it.each([
    ['a duplicate key', 'a: 1\nb: 2\na: 3\n', 3],
    ['a tab as indentation', 'a:\n\tb: 1\n', 2],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n', 3],
    ['an unclosed bracket', 'a: 1\nb: [1, 2\n', 3],
    ['a second document', 'a: 1\n---\nb: 2\n', 2],
    ['an unknown alias', 'a: 1\nb: *nobody\n', 2],
    ['an unknown tag', 'a: 1\nb: !!js/function x\n', 2],
  ])('reports %s with its line', (_what, text, line) => {
    const problems = problemsOf(() => parseYamlText(text, 'x.yaml'))
    expect(problems.length).toBeGreaterThan(0)
    expect(problems[0]).toMatchObject({ file: 'x.yaml', line })
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
      { file: 'x.yaml', hint: 'write the values out instead of *aliases' },
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
    ['a swap, at the top', 'id: a\nsetps: []\n', 2, 'did you mean "steps"?'],
    [
      'a letter less, in the option that was meant',
      'id: a\nsteps:\n  - type: wait\n    duration: 1d\n    typ: x\n',
      5,
      'did you mean "type"?',
    ],
    ['nothing like it', 'id: a\nsteps:\n  - type: exit\n    whatever: 1\n', 4, 'known fields: type, reason'],
  ])('helps with an unknown field: %s', (_what, text, line, hint) => {
    expect(check(text)).toMatchObject([{ line, hint }])
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
      problems: [{ file: 'no/such.yaml', message: 'file not found' }],
    })
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

describe('nearest', () => {
  it.each([
    ['hsot', ['host', 'port'], 'host'],
    ['TimeZone', ['timeZone', 'time'], 'timeZone'],
    ['url', ['kind'], undefined],
    ['ab', ['cd'], undefined],
  ])('%s of %j is %s', (word, candidates, expected) => {
    expect(nearest(word, candidates)).toBe(expected)
  })
})
