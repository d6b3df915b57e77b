import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { InvalidInputError, Problem } from '../../../src/errors.js'
import { loadWays } from '../../../src/services/definitions/load-ways.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siyu-ways-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})
async function write(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true })
  await writeFile(join(folder, name), text)
}

const problemsOf = (): Promise<readonly Problem[]> =>
  loadWays(folder).then(
    () => [],
    (err: InvalidInputError) => err.problems,
  )

describe('files of ways', () => {
  it('may all be missing', async () => {
    await expect(loadWays(join(folder, 'nowhere'))).resolves.toEqual({ ways: [], joinWays: [], links: [] })
  })

  it('are read from three folders, with defaults filled in', async () => {
    await write('ways/a.yaml', 'ways: [{ id: store-001, name: 门店 001, users: [guide001], tags: [来源/门店] }]')
    await write('join-ways/a.yaml', 'joinWays: [{ id: club, name: 会员群, groups: [wr1] }]')
    await write('links/a.yaml', 'links: [{ id: ad, name: 投放, departments: [2] }]')
    const { ways, joinWays, links } = await loadWays(folder)
    expect(ways).toEqual([
      expect.objectContaining({ id: 'store-001', scene: 'qr_code', skipVerify: true, tags: ['来源/门店'] }),
    ])
    expect([joinWays[0]?.createsGroups, links[0]?.departments]).toEqual([true, [2]])
  })

  it('name every mistake with file and line', async () => {
    await write(
      'ways/a.yaml',
      'ways:\n  - { id: store-001, name: 门店 001, users: [guide001] }\n  - { id: Store, name: x, users: [] }\n',
    )
    await write('ways/b.yaml', 'ways:\n  - { id: store-001, name: 门店, users: [guide001] }\n')
    await write('links/a.yaml', 'links:\n  - { id: ad, name: 投放, state: store-001, users: [guide001] }\n')
    const problems = await problemsOf()
    const found = problems.map((p) => `${p.file?.slice(folder.length + 1)}:${p.line} ${p.path}`)
    expect(found).toContain('ways/a.yaml:3 ways.1.id')
    expect(found).not.toContain('ways/b.yaml:2 ways.0.name')

    await write('ways/a.yaml', 'ways:\n  - { id: store-001, name: 门店 001, users: [guide001] }\n')
    const again = (await problemsOf()).map((p) => p.message)
    expect(again.filter((m) => m.includes('way "store-001" is defined twice'))).toHaveLength(1)
    expect(again.filter((m) => m.includes('channel code "store-001" is defined twice'))).toHaveLength(2)
  })
})
