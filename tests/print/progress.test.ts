import { PassThrough } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { endOpenBars } from '../../src/print/open-bars.js'
import { createProgress, type ProgressOptions } from '../../src/print/progress.js'

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
    expect(lines[4]).toMatch(/500\/1,000 {2}[\d,∞]+\/s {2}剩余约 \d+ 秒$/)
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

  it.each([
    [0, 'about 10 s', '约 10 秒'],
    [44_000, 'about 40 s', '约 40 秒'],
    [89_000, 'about 90 s', '约 90 秒'],
    [90_000, 'about 2 min', '约 2 分钟'],
    [260_000, 'about 4 min', '约 4 分钟'],
  ])('says of %d ms that the whole run takes %s', (leftMs, en, zh) => {
    for (const [locale, text] of [
      ['en', `whole run: ${en} left`],
      ['zh', `全程剩余${zh}`],
    ] as const) {
      const { progress, written } = open({ locale })
      progress.start('load', 100, { wholeLeftMs: () => leftMs })
      progress.set(50)
      expect(written()).toMatch(new RegExp(`^load {2}50 % {2}50/100 {2}[\\d,∞]+/s {2}${text}\n$`))
    }
  })

  it('leaves the time of the whole out while nobody knows it', () => {
    const leftMs = [undefined, 30_000]
    const { progress, written } = open({ locale: 'en' })
    progress.start('load', 100, { wholeLeftMs: () => leftMs.shift() })
    progress.set(10)
    progress.set(20)
    expect(written().match(/left/g)).toHaveLength(1)
  })

  it('shows the time of the whole on a terminal, too', () => {
    const { progress, written } = open({ isTTY: true, locale: 'en' })
    progress.start('load', 100, { wholeLeftMs: () => 120_000 })
    progress.done()
    expect(written()).toContain('whole run: about 2 min left')
  })

  it('is ended by whoever tells of a failure, and draws no more', () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const { progress, written } = open({ isTTY: true, locale: 'en' })
    progress.start('restoring', 0)
    expect(timers()).toBe(before + 1)
    endOpenBars()
    expect(timers()).toBe(before)
    written()
    progress.drop()
    endOpenBars()
    expect(written()).toBe('')
  })

  it.each([true, false])('names steps within the piece (on a terminal: %s)', (isTTY) => {
    const { progress, written } = open({ isTTY, locale: 'en' })
    progress.step('before anything')
    progress.start('load', 100, { wholeLeftMs: () => 120_000 })
    progress.set(90)
    progress.step('reading contacts')
    progress.done()
    const text = written()
    expect(text).not.toContain('before anything')
    if (isTTY) expect(text).toMatch(/90 %.* {2}reading contacts/)
    else expect(text).toContain('load  reading contacts  whole run: about 2 min left\n')
  })

  it('counts on from what an earlier run had done', () => {
    const { progress, written } = open({ locale: 'en' })
    progress.start('live', 100, { from: 42 })
    progress.set(42)
    progress.set(49)
    expect(written()).toBe('')
    progress.set(50)
    expect(written()).toMatch(/^live {2}50 % {2}50\/100/)
  })

  it('takes a total that turns out to be another one', () => {
    const { progress, written } = open({ locale: 'en' })
    progress.start('load', 100)
    progress.set(80)
    progress.total(160)
    progress.set(90)
    progress.set(100)
    progress.done()
    expect(written().match(/\d+ %|done {2}\d+/g)).toEqual(['80 %', 'done  160'])
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
