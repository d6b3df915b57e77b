import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function circlesIn(files: Readonly<Record<string, string>>): { code: number | null; said: string } {
  const folder = mkdtempSync(join(tmpdir(), 'siyu-circles-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const { status, stderr } = spawnSync(process.execPath, ['lint/circles.js', folder], { encoding: 'utf8' })
  return { code: status, said: stderr }
}

describe('lint/circles.js', () => {
  it.each([
    ['types', `import type { B } from './b/b.js'`, `import { type A } from '../a.js'`],
    ['types in place', `export type A = import('./b/b.js').B`, `import type { A } from '../a.js'`],
    ['passing on', `export { b } from './b/b.js'`, `export * from '../a.js'`],
    ['a dynamic import', `export const b = () => import('./b/b.js')`, `import { b } from '../a.js'`],
  ])('names the files of a circle made by %s', (_what, a, b) => {
    const { code, said } = circlesIn({ 'a.ts': a, 'b/b.ts': b, 'c.ts': `import './a.js'` })
    expect(code).toBe(1)
    expect(said).toContain('a.ts imports b/b.ts')
    expect(said).toContain('b/b.ts imports a.ts')
    expect(said).not.toContain('c.ts')
  })

  it('finds two circles apart, and says nothing of a diamond', () => {
    const two = circlesIn({
      'a.ts': `import './b.js'; import './c.js'`,
      'b.ts': `import './a.js'`,
      'c.ts': `import './d.js'`,
      'd.ts': `import './c.js'`,
    })
    expect(two.said.match(/in a circle/g)).toHaveLength(2)
    const diamond = { 'a.ts': `import './b.js'; import './c.js'`, 'b.ts': `import './d.js'`, 'c.ts': `import './d.js'` }
    expect(circlesIn({ ...diamond, 'd.ts': '' })).toEqual({ code: 0, said: '' })
  })
})
