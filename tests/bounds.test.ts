import { readFileSync } from 'node:fs'
import { expect, it } from '@jest/globals'
import * as bounds from '../src/bounds.js'

function rowsOf(name: string, value: unknown): string[] {
  if (typeof value === 'number') return [`${name} ${value.toLocaleString('en')}`]
  return Object.entries(value as object).flatMap(([key, inner]) => rowsOf(`${name}.${key}`, inner))
}

it('docs/security.md has every bound as it is', () => {
  const table = readFileSync('docs/security.md', 'utf8').split('| bound ')[1]!
  const rows = [...table.matchAll(/^\| `(\S+)` +\| +([\d,]+) +\|/gm)].map(([, name, value]) => `${name} ${value}`)
  const all = Object.entries(bounds).flatMap(([table, value]) =>
    rowsOf(table.replace('_BOUNDS', '').toLowerCase(), value),
  )
  expect(rows.sort()).toEqual(all.sort())
})
