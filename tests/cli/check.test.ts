import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { checkCommand } from '../../src/cli/check.js'
import { InvalidInputError } from '../../src/errors.js'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'siyu-check-'))
  mkdirSync(join(home, 'journeys'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

it('tells at once what is wrong with settings, definitions and mappings, whichever of them is broken', async () => {
  writeFileSync(
    join(home, 'service.yaml'),
    `brand: { name: 店, locale: fr }
http: { prot: 8080 }
wecom: { corpId: '\${NO_SUCH_VARIABLE}' }
paths: { journeys: ${join(home, 'journeys')} }
sources: [${join(home, 'map.yaml')}]
`,
  )
  writeFileSync(join(home, 'journeys/hello.yaml'), 'id: hello\nname: 你好\nholdout：10%\n')
  writeFileSync(join(home, 'map.yaml'), 'rows: people\nsource: crm\nfile: none.csv\n')
  const err: unknown = await checkCommand({ config: join(home, 'service.yaml') }, {}).catch((e: unknown) => e)
  expect(err).toBeInstanceOf(InvalidInputError)
  const { problems } = err as InvalidInputError
  expect(problems.map((p) => `${p.file!.slice(home.length + 1)} ${p.path}`)).toEqual(
    expect.arrayContaining([
      'service.yaml wecom.corpId',
      'service.yaml brand.locale',
      'service.yaml http.prot',
      'journeys/hello.yaml ',
      expect.stringMatching(/^map\.yaml /),
    ]),
  )
  for (const { message } of problems) expect(message).toMatch(/[\u4e00-\u9fff].* · /)
})

it('looks at mappings beside the configuration that it does not name, and only warns of them', async () => {
  const config = join(home, 'service.yaml')
  writeFileSync(config, `brand: { name: 店 }\npaths: { journeys: ${join(home, 'journeys')} }\n`)
  mkdirSync(join(home, 'sources'))
  writeFileSync(join(home, 'sources/crm.yaml'), 'rows: people\nsource: crm\nfile: none.csv\n')
  const written: string[] = []
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = (text: string) => written.push(text) > 0
  try {
    await checkCommand({ config }, {})
  } finally {
    process.stdout.write = write
  }
  const out = written.join('')
  expect(out).toMatch(/^! .*sources\/crm\.yaml:3 file: /m)
  expect(out).toMatch(/^数据源 +1 {2}crm\.yaml$/m)
  expect(out).toContain('✓ 没有问题')
})
