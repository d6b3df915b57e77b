import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { COMMANDS } from '../../src/app/doors.js'
import { isQuestion } from '../../src/app/require-data.js'
import { createProgram } from '../../src/cli/program.js'
import { ConfigError } from '../../src/errors.js'
import { makeSite } from '../support/run-siyu.js'

let site: Awaited<ReturnType<typeof makeSite>>
beforeEach(async () => {
  site = await makeSite()
})
afterEach(() => rm(site.dir, { recursive: true }))

/** Runs a command with something for every argument it needs. */
async function run(name: string): Promise<void> {
  const program = createProgram({ env: {}, signal: new AbortController().signal })
  const command = name
    .split(' ')
    .reduce<Command>((parent, word) => parent.commands.find((c) => c.name() === word)!, program)
  const person = command.options.some((o) => o.long === '--member') ? ['--member', '17'] : []
  const words = [...name.split(' '), ...command.registeredArguments.filter((a) => a.required).map(() => 'x'), ...person]
  await program.parseAsync([...words, '--config', site.config], { from: 'user' })
}

describe('a question, while there is no data', () => {
  it('makes no store, and names file, line and what to do', async () => {
    const asked: string[] = []
    for (const name of Object.keys(COMMANDS)) {
      if (!(await isQuestion(name))) continue
      asked.push(name)
      const refused: unknown = await run(name).catch((err: unknown) => err)
      expect([name, refused]).toEqual([name, expect.any(ConfigError)])
      expect((refused as ConfigError).problems).toEqual([
        expect.objectContaining({
          file: site.config,
          line: 4,
          path: 'dataDir',
          hint: expect.stringContaining('siyu import'),
        }),
      ])
    }
    expect(asked.sort()).toEqual(
      [
        ...['tags list', 'tags explain', 'journeys explain', 'segments who', 'segments explain', 'why', 'audit'],
        'backup',
        ...['ingest rejected', 'path', 'people', 'person', 'segments list', 'status'],
        ...['wecom plan', 'wecom stats', 'wecom transfers', 'send status'],
      ].sort(),
    )
    expect(existsSync(site.dataDir)).toBe(false)
  })
})
