import { Writable } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { guardOutput } from '../src/cli/guard-output.js'
import { forAppText, forCard, forCell, forHtml, forTerminal } from '../src/escape.js'
import { jsonLog } from '../src/log.js'
import { renderTable } from '../src/print/table.js'
import { NAUGHTY } from './support/naughty-strings.js'

/** What a terminal, a log or a card must never be given; line breaks are for each place to say. */
// eslint-disable-next-line no-control-regex -- they are what is meant
const MOVES = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/

describe.each(NAUGHTY.map((text) => [JSON.stringify(text).slice(0, 60), text] as const))('%s', (_shown, text) => {
  it('is one line of words in a table', () => {
    const table = renderTable([{ title: 'name' }], [[text]])
    expect(table).not.toMatch(MOVES)
    expect(table.split('\n')).toHaveLength(4)
    expect(forCell(text)).not.toMatch(MOVES)
  })

  it('is words on a terminal, whoever prints it', () => {
    const written: string[] = []
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        written.push(chunk.toString('utf8'))
        done()
      },
    })
    guardOutput(stream as NodeJS.WriteStream)
    stream.write(`\u001b[32m✓\u001b[0m ${JSON.stringify({ text })}\n`)
    // Colours alone are ours.
    expect(written.join('').replaceAll('\u001b[32m✓\u001b[0m', '')).not.toMatch(MOVES)
    expect(JSON.parse(written.join('').slice('\u001b[32m✓\u001b[0m '.length))).toEqual({ text })
    expect(forTerminal(text)).not.toMatch(MOVES)
  })

  it('is one line of a log, which reads as it was', () => {
    const lines: string[] = []
    jsonLog((line) => lines.push(line)).warn('seen', { text })
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toMatch(MOVES)
    expect(lines[0]).not.toContain('\n')
    expect(JSON.parse(lines[0]!)).toMatchObject({ fact: 'seen', text })
  })

  it('is neither link nor address in a message of an app', () => {
    const shown = forAppText(text)
    expect(shown).not.toMatch(/[<>\n]|:\/\/|\w\.\w/)
    expect(shown).not.toMatch(MOVES)
    expect([...shown].length).toBeLessThanOrEqual(64)
  })

  it('is one line in a field of a card', () => {
    expect(forCard(text)).not.toMatch(MOVES)
    expect(forCard(text)).not.toContain('\n')
  })

  it('is text in HTML', () => {
    const html = forHtml(text)
    expect(html).not.toMatch(/[<>"']|&(?!#\d+;)/)
    expect(html.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)))).toBe(text)
  })
})
