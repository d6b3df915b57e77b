import type { Bool, Num, Sign, Text } from './expression.js'
import type { Bounds, Comparators } from './fields.js'

/** Text of what is not there. */
export const ABSENT: Text = { text: 'constant', value: '' }

export function constant(value: string): Text {
  return { text: 'constant', value }
}

export function isPresent(text: Text): Bool {
  return { bool: 'not', of: { bool: 'equals', of: text, to: '' } }
}

/** Tests on a text; numbers compare as numbers, and text that is none compares false. */
export function compareAll(of: Text, c: Comparators): Bool[] {
  const equals = (v: string | number | boolean): Bool =>
    typeof v === 'number' ? { bool: 'compareText', of, sign: '=', to: v } : { bool: 'equals', of, to: String(v) }
  const tests: Bool[] = []
  if (c.is !== undefined) tests.push(equals(c.is))
  if (c.in !== undefined) tests.push({ bool: 'any', of: c.in.map(equals) })
  for (const [key, sign] of SIGNS) {
    const to = c[key]
    if (to !== undefined) tests.push({ bool: 'compareText', of, sign, to })
  }
  return tests
}

/** Tests on a text; without any, that it is there. */
export function comparesOrIsPresent(of: Text, c: Comparators): Bool {
  const tests = compareAll(of, c)
  return { bool: 'all', of: tests.length === 0 ? [isPresent(of)] : tests }
}

export function within(of: Num, bounds: Bounds, unit = 1): Bool[] {
  const tests: Bool[] = SIGNS.flatMap(([key, sign]) =>
    bounds[key] === undefined ? [] : [{ bool: 'compare' as const, of, sign, to: bounds[key] * unit }],
  )
  return bounds.is === undefined ? tests : [...tests, { bool: 'compare', of, sign: '=', to: bounds.is * unit }]
}

const SIGNS: readonly ['gte' | 'gt' | 'lte' | 'lt', Sign][] = [
  ['gte', '>='],
  ['gt', '>'],
  ['lte', '<='],
  ['lt', '<'],
]
