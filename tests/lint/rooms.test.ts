import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { ESLint } from 'eslint'

type Rooms = {
  wrongImport: (file: string, specifier: string) => string | undefined
  wrongPlace: (file: string) => string | undefined
}
const { wrongImport, wrongPlace } = (await import(pathToFileURL(resolve('lint/rooms.js')).href)) as Rooms

describe('who may import whom', () => {
  it.each([
    ['src/domain/tags/x.ts', '../../services/tags/list-tags.js'],
    ['src/domain/tags/x.ts', '../../ports/channel.js'],
    ['src/ports/x.ts', '../stored/touches.js'],
    ['src/stored/x.ts', '../services/runtime/deps.js'],
    ['src/services/tags/x.ts', '../../adapters/wecom/client.js'],
    ['src/services/tags/x.ts', '../../app/compose.js'],
    ['src/adapters/wecom/x.ts', '../../services/runtime/deps.js'],
    ['src/http/routes/x.ts', '../../cli/serve.js'],
    ['src/jobs/x.ts', '../http/server.js'],
    ['src/app/x.ts', '../cli/serve.js'],
    ['src/app/x.ts', '../../demo/run-demo.js'],
    ['src/cli/serve.ts', '../../demo/run-demo.js'],
    ['src/print/x.ts', '../services/tags/list-tags.js'],
    ['src/print/x.ts', '../cli/serve.js'],
    ['src/time.ts', './domain/schedule.js'],
    ['connectors/csv/x.ts', '../../src/domain/events/record.js'],
    ['connectors/csv/x.ts', '../wechaty/index.js'],
    ['sandbox/x.ts', '../src/domain/wecom/event.js'],
    ['sandbox/world/x.ts', '../http/core/endpoint.js'],
  ])('%s may not import %s', (file, specifier) => {
    expect(wrongImport(file, specifier)).toContain('may not import')
  })

  it.each([
    ['src/domain/tags/x.ts', '../rules/rule.js'],
    ['src/services/tags/x.ts', '../../stored/tags.js'],
    ['src/app/x.ts', '../../connectors/csv/index.js'],
    ['src/cli/demo.ts', '../../demo/run-demo.js'],
    ['src/cli/program.ts', './demo.js'],
    ['demo/x.ts', '../src/app/compose.js'],
    ['sandbox/sandbox.ts', './world/world.js'],
    ['tests/x.test.ts', '../src/app/compose.js'],
  ])('%s may import %s', (file, specifier) => {
    expect(wrongImport(file, specifier)).toBeUndefined()
  })

  it.each([
    ['src/services/tags/x.ts', 'mongoose'],
    ['src/http/x.ts', 'chdb/session'],
    ['src/app/x.ts', '@koa/router'],
    ['src/main.ts', 'commander'],
    ['demo/x.ts', 'axios'],
  ])('%s may not import the package %s', (file, specifier) => {
    expect(wrongImport(file, specifier)).toContain('is at home in')
    expect(wrongImport('src/http/x.ts', '@koa/router')).toBeUndefined()
  })

  it.each(['src/helpers/x.ts', 'src/x.ts', 'src/servicesx/x.ts', 'src/channels/x.ts'])('%s is in no room', (file) => {
    expect(wrongPlace(file)).toContain('is in no room')
  })

  it.each(['src/services/tags/x.ts', 'src/time.ts', 'src/print/x.ts', 'demo/x.ts', 'tests/x.test.ts', 'lint/x.js'])(
    '%s is where it may be',
    (file) => {
      expect(wrongPlace(file)).toBeUndefined()
    },
  )

  it('says so of a file that imports nothing', async () => {
    const eslint = new ESLint({
      overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
      ruleFilter: ({ ruleId }) => ruleId === 'rooms/imports',
    })
    const [result] = await eslint.lintText('export const one = 1\n', { filePath: 'src/helpers/x.ts' })
    expect(result!.messages.map((m) => m.message)).toEqual([wrongPlace('src/helpers/x.ts')])
  })

  it('holds for every way to import', async () => {
    const eslint = new ESLint({ overrideConfig: { rules: { '@typescript-eslint/no-unused-vars': 'off' } } })
    const code = `import type { App } from '../app/compose.js'
export type { Tag } from '../domain/tags/definition.js'
export type { ProcessRole } from '../app/process-roles.js'
export type Options = import('../app/compose.js').AppOptions
export const load = async () => import('../app/compose.js')
`
    const [result] = await eslint.lintText(code, { filePath: 'src/jobs/registry.ts' })
    const found = result!.messages.filter((m) => m.ruleId === 'rooms/imports')
    expect(found.map((m) => m.line)).toEqual([1, 2, 3, 4, 5])
  })
})
