import { PassThrough } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { createProgress, type ProgressOptions } from '../../../src/cli/print/progress.js'

function open(options: Partial<ProgressOptions> & { isTTY?: boolean } = {}) {
  const stream = Object.assign(new PassThrough(), { isTTY: options.isTTY ?? false })
  const progress = createProgress({ stream, locale: 'zh', ...options })
  return { progress, written: () => ((stream.read() as Buffer | null) ?? Buffer.alloc(0)).toString('utf8') }
}

describe('createProgress', () => {
  it('writes a line every 10 % and one at the end where there is no terminal', () => {
    const { progress, written } = open()
    progress.start('载入订单', 1_000)
    for (let n = 1; n <= 1_000; n++) progress.set(n)
    progress.done('正常')
    const lines = written().trimEnd().split('\n')
    expect(lines.map((line) => line.split('  ').slice(0, 2).join(' '))).toEqual([
      ...[10, 20, 30, 40, 50, 60, 70, 80, 90].map((percent) => `载入订单 ${percent} %`),
      '载入订单 完成',
    ])
    expect(lines[4]).toMatch(/500\/1,000 {2}[\d,∞]+\/s$/)
    expect(lines[9]).toMatch(/^载入订单 {2}完成 {2}1,000 {2}用时 \d.* {2}正常$/)
  })

  it('skips the lines it jumps over and never repeats one', () => {
    const { progress, written } = open({ locale: 'en' })
    progress.start('load', 100)
    for (const n of [35, 36, 34, 80]) progress.set(n)
    expect(written().match(/\d+ %/g)).toEqual(['30 %', '80 %'])
  })

  it('counts without a share where nobody knows the total', () => {
    const { progress, written } = open({ locale: 'en' })
    progress.start('read', 0)
    for (const n of [500, 1_000]) progress.set(n)
    progress.done()
    expect(written()).toMatch(/^read {2}done {2}1,000 {2}took /)
  })

  it('writes no colour or cursor codes where there is no terminal', () => {
    const { progress, written } = open()
    progress.start('a', 10)
    progress.set(5)
    progress.done()
    expect(written()).not.toContain('\u001b')
  })

  it('draws a bar with rate and time left on a terminal and leaves one line behind', () => {
    const { progress, written } = open({ isTTY: true })
    progress.start('载入订单', 200)
    progress.set(50, '批 3')
    progress.done()
    const text = written()
    expect(text).toContain('░')
    expect(text).toMatch(/0\/200/)
    expect(text.trimEnd().split('\n').at(-1)).toMatch(/载入订单 {2}完成 {2}200 {2}用时/)
  })

  it('ends the piece before when the next begins', () => {
    const { progress, written } = open()
    progress.start('one', 0)
    progress.start('two', 3)
    progress.done()
    progress.done()
    expect(written().match(/\w+ {2}完成/g)).toEqual(['one  完成', 'two  完成'])
  })

  it('writes nothing when quiet', () => {
    const { progress, written } = open({ quiet: true })
    progress.start('one', 3)
    progress.set(2)
    progress.done()
    expect(written()).toBe('')
  })
})
