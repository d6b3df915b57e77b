import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type Answers, initCommand } from '../../src/cli/init.js'
import { loadConfig, placedIn } from '../../src/config.js'
import { kindNames } from '../../src/services/definitions/kinds.js'
import { checkDefinitions } from '../../src/services/definitions/load-definitions.js'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'siyu-init-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const ANSWERS: Answers = { name: '三"点: #店', timeZone: 'Europe/Paris', linkBase: 'https://m.shop.test', locale: 'en' }
const SETTINGS = 'config/service.yaml'

async function init(given: Partial<Answers> = ANSWERS, ask?: Parameters<typeof initCommand>[2]): Promise<string> {
  let said = ''
  await initCommand(home, { locale: 'zh', ...given }, ask, (text) => (said += text))
  return said
}
const load = () => loadConfig({ file: join(home, SETTINGS), env: {} })

describe('siyu init', () => {
  it('makes a brand by the answers, whose files have no problem, with every comment', async () => {
    expect(await init()).toContain(SETTINGS)
    const config = await load()
    expect(config.brand).toMatchObject({ name: '三"点: #店', timeZone: 'Europe/Paris', locale: 'en' })
    expect(config.linkBase).toBe('https://m.shop.test')
    const { problems, loaded } = await checkDefinitions(placedIn(home, config).paths, { names: kindNames })
    expect(problems).toEqual([])
    expect(loaded?.journeyFiles).toEqual([])
    const comments = (text: string) => text.split('\n').filter((line) => line.startsWith('#')).length
    const shipped = await readFile(SETTINGS, 'utf8')
    // The one of `linkBase` has become the setting.
    expect(comments(await readFile(join(home, SETTINGS), 'utf8'))).toBe(comments(shipped) - 1)
    expect(await readFile(join(home, '.gitignore'), 'utf8')).toContain('.siyu')
    expect(await readdir(join(home, 'schemas'))).toContain('journey.schema.json')
  })

  it('asks for what is not given, and takes an empty answer for the default', async () => {
    const asked: string[] = []
    await init({ locale: 'zh' }, async (question, otherwise) => {
      asked.push(question)
      return question === '品牌名' ? '我的店' : otherwise
    })
    expect(asked).toHaveLength(3)
    expect((await load()).brand).toMatchObject({ name: '我的店', timeZone: 'Asia/Shanghai', locale: 'zh' })
  })

  it.each<[Partial<Answers>, RegExp]>([
    [{}, /--name/],
    [{ name: 'x', timeZone: 'Mars/Olympus' }, /--time-zone.*Mars/],
    [{ name: 'x', linkBase: 'm.shop.test' }, /--link-base/],
  ])('writes nothing when it cannot: %j', async (given, message) => {
    await expect(init(given)).rejects.toThrow(message)
    expect(await readdir(home)).toEqual([])
  })

  it('writes no link and no command that leads to what is not there', async () => {
    await init()
    const readme = await readFile(join(home, 'journeys/README.md'), 'utf8')
    const links = [...readme.matchAll(/\]\(([^)#]+)/g)].map(([, to]) => join(home, 'journeys', to!))
    const copied = [...readme.matchAll(/`cp (\S+)/g)].map(([, from]) => join(home, from!))
    expect(copied).toHaveLength(1)
    for (const file of [...links, ...copied]) expect(await readFile(file, 'utf8')).not.toBe('')
  })

  it('overwrites nothing', async () => {
    await writeFile(join(home, '.gitignore'), 'mine')
    expect(await init()).toContain('.gitignore')
    expect(await readFile(join(home, '.gitignore'), 'utf8')).toBe('mine')
    const before = await readFile(join(home, SETTINGS), 'utf8')
    await expect(init({ ...ANSWERS, name: 'another' })).rejects.toThrow('siyu init my-brand')
    expect(await readFile(join(home, SETTINGS), 'utf8')).toBe(before)
  })
})
