import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createProgram } from '../../src/cli/program.js'
import { compiled } from '../support/compiled.js'
import { makeSite, runSiyu, textOf } from '../support/run-siyu.js'

/** Native engines, drivers and servers: a second to load, and absent where an optional one is not installed. */
const HEAVY = ['@clickhouse/client', '@koa/router', 'bull', 'chdb', 'ioredis', 'koa', 'libsql', 'mongoose']

/** Loader hooks that write down every module that is asked for. */
const RECORDER = `
import { appendFileSync } from 'node:fs'
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context)
  appendFileSync(process.env.MODULES, found.url + '\\n')
  return found
}`

let dir: string
let site: Awaited<ReturnType<typeof makeSite>>
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-modules-'))
  site = await makeSite()
})
afterAll(async () => {
  await rm(dir, { recursive: true })
  await rm(site.dir, { recursive: true })
})

/** Packages that `siyu` loads when it is run like this, and what it says. */
async function packagesOf(
  args: readonly string[],
  { untilItSpeaks = false } = {},
): Promise<{ packages: string[]; out: string }> {
  const modules = join(dir, `${args.join('-').replace(/\W/g, '_')}.txt`)
  const hooks = JSON.stringify(`data:text/javascript,${encodeURIComponent(RECORDER)}`)
  const register = `import { register } from 'node:module'; register(${hooks})`
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(register)}`, compiled('src/main.ts'), ...args],
    { env: { PATH: process.env.PATH ?? '', MODULES: modules }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  if (untilItSpeaks) child.stdout.once('data', () => child.kill())
  const [code] = (await once(child, 'close')) as [number | null]
  expect({ code, err: err() }).toEqual({ code: 0, err: '' })
  const names = (await readFile(modules, 'utf8'))
    .split('\n')
    .map((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1])
  return { packages: [...new Set(names)].filter((name) => name !== undefined), out: out() }
}

describe('the command line', () => {
  it.each([
    [['--help'], 'siyu send stop'],
    [['sandbox', '--help'], 'siyu sandbox --port 9090'],
    [['tags', 'explain', '--help'], '--identifier'],
  ])('says %j without loading a store, a driver or a server', async (args, text) => {
    const { packages, out } = await packagesOf(args)
    expect(out).toContain(text)
    expect(packages).toContain('commander')
    expect(packages.filter((name) => HEAVY.includes(name))).toEqual([])
  })

  it('runs a sandbox without the stores of the service', async () => {
    const { packages, out } = await packagesOf(['sandbox', '--json'], { untilItSpeaks: true })
    expect(out).toContain('"corpId"')
    expect(packages.filter((name) => HEAVY.includes(name))).toEqual(['libsql'])
  })

  it('says its version', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
    expect((await packagesOf(['--version'])).out).toBe(`${version}\n`)
  })

  it('loads the stores for a command that works on them', async () => {
    const { packages } = await packagesOf(['send', 'stop', '--config', site.config])
    expect(packages).toEqual(expect.arrayContaining(['libsql', 'mongoose', 'chdb']))
  })
})

/** Chinese characters and full-width marks. */
const CHINESE = /[\u3000-\u9fff\uff00-\uffef]/

describe('what the command line refuses', () => {
  const REFUSED: [args: string[], zh: string, en: string][] = [
    [['frobnicate'], '没有命令 "frobnicate"', "unknown command 'frobnicate'"],
    [['chek'], '（是不是 check？）', '(Did you mean check?)'],
    [['why', '--profil', '4'], '没有选项 "--profil"\n（是不是 --profile？）', "unknown option '--profil'\n"],
    [['restore'], '缺少参数 <file>', "missing required argument 'file'"],
    [['check', 'a', 'b'], '参数太多：要 0 个，给了 2 个', 'Expected 0 arguments but got 2.'],
    [['serve', '--port'], '选项 --port <n> 后面缺少值', "option '--port <n>' argument missing"],
    [
      ['serve', '--port', 'x'],
      '选项 --port <n> 的值 "x" 不能用：给一个非负整数',
      "'x' is invalid. give a whole number",
    ],
    [['demo', '--lang', 'fr'], '选项 --lang <zh|en> 的值 "fr" 不能用：可以写 zh, en', 'Allowed choices are zh, en.'],
    [['wecom', 'transfer', '--to', 'a'], '缺少选项 --from <userid>', "required option '--from <userid>' not specified"],
    [
      ['publish', '--withdraw', 'a', '--correct', 'b'],
      '选项 --withdraw <content...> 和 --correct <content...> 不能一起用',
      "'--withdraw <content...>' cannot be used with option '--correct <content...>'",
    ],
  ]
  const refusal = (args: string[], lang: 'zh' | 'en'): string => {
    const err: string[] = []
    const program = createProgram({
      env: { LANG: lang === 'en' ? 'en_US.UTF-8' : 'zh_CN.UTF-8' },
      signal: new AbortController().signal,
    })
    const every = [program, ...program.commands.flatMap((command) => [command, ...command.commands])]
    for (const command of every) command.exitOverride().configureOutput({ writeErr: (text) => void err.push(text) })
    expect(() => program.parse(args, { from: 'user' })).toThrow()
    return err.join('')
  }

  it.each(REFUSED)('%j is said in one language, with the help to ask for', (args, zh, en) => {
    expect(refusal(args, 'zh')).toContain(zh)
    expect(refusal(args, 'zh')).not.toContain('error:')
    expect(refusal(args, 'en')).toContain(en)
    expect(refusal(args, 'en')).not.toMatch(CHINESE)
    expect(refusal(args, 'en')).toMatch(/\nhow to use it: siyu [a-z ]*--help\n$/)
  })

  it('is in the language of the brand where that can be read, else of the terminal; with the place of each problem', async () => {
    const whom = await runSiyu(['why', '--config', site.config], { LANG: 'zh_CN.UTF-8' })
    expect(whom).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^Whom\?\n {2}--profile: one person is needed → /),
    })
    expect(whom.err).not.toMatch(CHINESE)
    const file = site.path('journeys/broken.yaml')
    await writeFile(
      file,
      'id: broken\nname: x\nenter: { on: order_payed }\ngoal: { event: order_paid, within: 1d }\nsteps: [{ wait: 1d }]\n',
    )
    const { err } = await runSiyu(['check', '--config', site.config])
    expect(err).toMatch(/^✗ 1 problem\n/)
    expect(err).toContain(`  ${file}:3 enter.on: there is no event "order_payed" → did you mean "order_paid"`)
    expect(err).not.toMatch(CHINESE)
    await rm(file)
    const nowhere = ['check', '--config', join(dir, 'no.yaml')]
    expect((await runSiyu(nowhere, { LANG: 'en_US.UTF-8' })).err).not.toMatch(CHINESE)
    expect((await runSiyu(nowhere)).err).toMatch(CHINESE)
  })
})
