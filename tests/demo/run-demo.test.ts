import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { runDemo } from '../../demo/run-demo.js'
import { quietLog } from '../../src/log.js'
import { createProgress } from '../../src/print/progress.js'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'siyu-demo-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

it.each([false, true])('leaves stores alone that no demo made (--fresh: %s)', async (fresh) => {
  const file = join(dataDir, 'documents.sqlite')
  await writeFile(file, 'the customers of a brand')
  const run = runDemo({
    dataDir,
    fresh,
    seed: 1,
    days: 1,
    env: {},
    log: quietLog,
    lang: 'en',
    keep: false,
    progress: createProgress({ stream: process.stderr, quiet: true, locale: 'en' }),
    onProblem: () => undefined,
    onPage: () => undefined,
  })
  await expect(run).rejects.toThrow('documents.sqlite without demo.json')
  expect(await readFile(file, 'utf8')).toBe('the customers of a brand')
})
