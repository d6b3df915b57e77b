import { describe, expect, it } from '@jest/globals'
import { asTyped, callOf } from '../../src/cli/as-typed.js'
import { renderReason } from '../../src/cli/tag-reason.js'
import { renderTable } from '../../src/print/table.js'
import { asCommand, bilingual, inLanguage, said, typeCommands } from '../../src/said.js'

describe('a command in a text', () => {
  const commands = ['check', 'send', 'import']

  it.each([
    ['npx, which sets npm_command', '/x/node_modules/.bin/siyu', { npm_command: 'exec' }, 'npx siyu'],
    ['npm start', '/x/dist/src/main.js', { npm_command: 'start' }, 'npx siyu'],
    ['node in a clone', '/x/dist/src/main.js', {}, 'npx siyu'],
    ['its name on the path', '/usr/local/bin/siyu', {}, 'siyu'],
  ])('is what can be pasted, started by %s', (_how, script, env, call) => {
    expect(callOf(script, env)).toBe(call)
  })

  it('is changed wherever it stands, and nothing else is', () => {
    const word = asTyped('npx siyu', commands)
    expect(word('→ siyu check 逐条列出；siyu send stop\n  $ siyu import a.yaml')).toBe(
      '→ npx siyu check 逐条列出；npx siyu send stop\n  $ npx siyu import a.yaml',
    )
    for (const text of ['npx siyu check', '只由 siyu 自己写', '/opt/siyu check', 'my-siyu check', 'siyu checks'])
      expect(word(text)).toBe(text)
    expect(asTyped('siyu', commands)('siyu check')).toBe('siyu check')
  })

  it('is put right in our own sentences, and in nothing that somebody else has written', () => {
    typeCommands(asTyped('npx siyu', commands))
    try {
      expect(bilingual('en')('请 siyu check', 'run siyu check')).toBe('run npx siyu check')
      expect(inLanguage(said('请 siyu check', 'run siyu check'), 'zh')).toBe('请 npx siyu check')
      expect(asCommand('siyu send stop')).toBe('npx siyu send stop')
      const stored = 'siyu check · siyu send stop'
      const reason = { id: 'note', name: '备注', type: 'text', profileId: 1, at: '2026-03-02T02:00:00.000Z', cases: [] }
      const shown = renderReason({ ...reason, value: stored, stored } as never, { timeZone: 'UTC', locale: 'en' })
      expect(shown).toContain(`= ${stored}`)
      expect(renderTable([{ title: 'x' }], [[stored]])).toContain(stored)
    } finally {
      typeCommands((text) => text)
    }
  })
})
