import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { type ESLint, Linter } from 'eslint'

const { words } = (await import(pathToFileURL(resolve('lint/words.js')).href)) as { words: ESLint.Plugin }

const linter = new Linter()
const found = (code: string) =>
  linter.verify(code, { plugins: { words }, rules: { 'words/said': 'error' } }).map((m) => m.line)

describe('words/said', () => {
  it.each([
    "throw new InvalidInputError('Nothing to import')",
    'throw new ConfigError(`data directory ${dir} cannot be used`)',
    "problems.push({ path: 'a', message: isGone ? 'it is gone' : said('好', 'good') })",
    "const p = { file, path, message: m, hint: near ?? 'write it as HH:MM' }",
    "z.string().refine(isCron, 'no cron expression')",
    "z.string().describe('what it is for')",
  ])('finds %s', (code) => {
    expect(found(code)).toEqual([1])
  })

  it.each([
    "throw new InvalidInputError(said('没有要导入的', 'nothing to import'))",
    "throw new ConflictError('lost the lease while working')",
    "problems.push({ path: 'a', message: said('没有了', 'it is gone'), hint: 'siyu publish' })",
    "log.info('batch taken', { message: 'as it came in' })",
    "z.string().refine(isCron, said('不是 cron', 'no cron expression'))",
    "z.string().describe(said('用途', 'what it is for'))",
  ])('lets %s be', (code) => {
    expect(found(code)).toEqual([])
  })
})
