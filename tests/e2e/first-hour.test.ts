import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { buildProject } from '../support/demo-process.js'

const run = promisify(execFile)
const PATIENCE_MS = 600_000

/** The first block of commands below a heading. */
async function commandsOf(file: string, heading: string): Promise<string[]> {
  const text = await readFile(file, 'utf8')
  const block = /```sh\n([\s\S]*?)```/.exec(text.slice(text.indexOf(heading)))
  return block![1]!.trim().split('\n')
}

describe('the first hour, in a clean clone in which npm ci has run', () => {
  let clone: string
  beforeAll(async () => {
    await buildProject()
    const home = await mkdtemp(join(tmpdir(), 'siyu-first-hour-'))
    clone = join(home, 'siyu')
    await run('git', ['clone', '--quiet', '--depth', '1', `file://${resolve('.')}`, clone])
    // What npm ci leaves.
    for (const made of ['node_modules', 'dist']) await symlink(resolve(made), join(clone, made))
  }, PATIENCE_MS)
  afterAll(() => rm(join(clone, '..'), { recursive: true, force: true }))

  it(
    'three commands lead to a message of an own journey',
    async () => {
      const commands = await commandsOf('README.md', '## Your own brand in three commands')
      expect(commands).toHaveLength(3)
      const { stdout } = await run('bash', ['-c', ['set -e', ...commands, 'times'].join('\n')], {
        cwd: clone,
        // It is built: npx need not do so again.
        env: { PATH: process.env.PATH, HOME: join(clone, '..'), npm_config_ignore_scripts: 'true' },
      })
      expect(stdout).toContain('my-brand/journeys/first-journey.yaml')
      expect(stdout).toContain('✓ The first message of the journey has arrived')
      // Of the shell's children: user and system.
      const [user, system] = stdout.trim().split('\n').at(-1)!.split(' ')
      process.stderr.write(`first hour: ${commands.length} commands, ${user} user, ${system} system of CPU\n`)
    },
    PATIENCE_MS,
  )

  it('are the same in Chinese', async () => {
    const plain = (lines: string[]) => lines.map((line) => line.replace(/ --name ("[^"]*"|\S+)| --locale en/g, ''))
    const chinese = await commandsOf('README.zh-CN.md', '## 三条命令，自己的品牌')
    expect(plain(chinese)).toEqual(plain(await commandsOf('README.md', '## Your own brand in three commands')))
  })
})
