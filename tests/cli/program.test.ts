import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { compiled } from '../support/compiled.js'
import { makeSite, textOf } from '../support/run-siyu.js'

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
