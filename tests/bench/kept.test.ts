import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { KeptRounds } from '../../bench/kept.js'
import { madeOnce } from '../../bench/service.js'

const dir = mkdtempSync(join(tmpdir(), 'siyu-kept-'))
afterAll(() => rmSync(dir, { recursive: true }))

describe('what a benchmark keeps', () => {
  it('is the rounds that have ended, for whoever goes on with the same', () => {
    const of = { scale: 'full', product: 'a', baseline: 'b' }
    const before = KeptRounds.open(join(dir, 'same'), of)
    before.add('journeys', 'product', { wallMs: 1, cpuMs: 2 })
    before.add('journeys', 'baseline', { wallMs: 3, cpuMs: 4, figures: { load: 1 } })
    before.add('journeys', 'product', { wallMs: 5, cpuMs: 6 })

    const after = KeptRounds.open(join(dir, 'same'), of)
    expect(after.of('journeys').product.map(({ wallMs }) => wallMs)).toEqual([1, 5])
    expect(after.of('journeys').baseline).toEqual([{ wallMs: 3, cpuMs: 4, figures: { load: 1 } }])
    expect(after.of('demo')).toEqual({ product: [], baseline: [] })
  })

  it('is refused to another version', () => {
    KeptRounds.open(join(dir, 'other'), { product: 'a' }).add('demo', 'product', { wallMs: 1, cpuMs: 2 })
    expect(() => KeptRounds.open(join(dir, 'other'), { product: 'c' })).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ path: 'of.product', message: 'is a, this is c' })],
      }),
    )
  })

  it('is a filled folder only once it is full', async () => {
    const home = join(dir, 'filled')
    const fill = (text: string, fails = false) =>
      madeOnce(home, async (part) => {
        await writeFile(join(part, 'text'), text)
        if (fails) throw new Error('cut off')
      })
    await expect(fill('half', true)).rejects.toThrow('cut off')
    await fill('whole')
    await fill('again')
    expect(await readFile(join(home, 'text'), 'utf8')).toBe('whole')
  })
})
