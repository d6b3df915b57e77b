import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { lockDataDir } from '../../src/app/data-dir.js'
import { compiled } from '../support/compiled.js'

let base: string
let dir: string
const children = new Set<ChildProcess>()

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'siyu-lock-'))
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(base, { recursive: true })
})
beforeEach(async () => {
  dir = join(await mkdtemp(join(base, 'case-')), 'data')
})

async function holder(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [compiled('tests/support/lock-holder.ts'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: chunk.toString().trim() }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = child.exitCode === null ? once(child, 'exit') : undefined
  child.kill(signal)
  await ended
  children.delete(child)
}

/** A lock left by an owner that is like this process but for `changes`. */
async function leftBy(changes: Record<string, unknown>): Promise<void> {
  const lock = await lockDataDir(dir)
  const owner = JSON.parse(await readFile(join(dir, 'lock.1'), 'utf8')) as Record<string, unknown>
  await lock.release()
  await writeFile(join(dir, 'lock.1'), `${JSON.stringify({ ...owner, ...changes })}\n`)
}

describe('lockDataDir', () => {
  it('makes the directory, holds it, and gives it back', async () => {
    const lock = await lockDataDir(dir)
    await expect(lockDataDir(dir)).rejects.toMatchObject({ code: 'conflict', details: { pid: process.pid } })
    await lock.release()
    await lock.release()
    const again = await lockDataDir(dir)
    expect(await readdir(dir)).toEqual(['lock.2'])
    await again.release()
  })

  it('lets one of many in, also over a stale lock', async () => {
    await leftBy({ pid: 2 ** 22 + 1 })
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dir)))
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1)
    for (const r of results) if (r.status === 'rejected') expect(r.reason).toMatchObject({ code: 'conflict' })
    expect(await readdir(dir)).toEqual(['lock.2'])
  })

  it('names the process that holds it and what to do, and leaves it alone', async () => {
    const { child, said } = await holder()
    expect(said).toBe('held')
    await expect(lockDataDir(dir)).rejects.toThrow(
      new RegExp(`in use by process ${child.pid} .*kill ${child.pid}.*another data directory`),
    )
    await end(child, 'SIGTERM')
    await (await lockDataDir(dir)).release()
  })

  it('is free again after SIGKILL', async () => {
    const { child } = await holder()
    await end(child, 'SIGKILL')
    await (await lockDataDir(dir)).release()
  })

  it('lets one of several processes take over after SIGKILL', async () => {
    const first = await holder()
    await end(first.child, 'SIGKILL')
    const rivals = await Promise.all(Array.from({ length: 4 }, holder))
    expect(rivals.map((r) => r.said).sort()).toEqual(['conflict', 'conflict', 'conflict', 'held'])
    await Promise.all(rivals.map((r) => end(r.child, 'SIGKILL')))
  })

  it.each([
    ['an earlier process with the id of this one', { timeOrigin: 1 }],
    ['a process that is gone', { pid: 2 ** 22 + 1 }],
  ])('takes over from %s', async (_who, changes) => {
    await leftBy(changes)
    await (await lockDataDir(dir)).release()
  })

  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux.each([
    ['whose id went to another process', { started: '1' }],
    ['of before the last boot', { boot: 'another' }],
  ])('takes over from a process %s', async (_who, changes) => {
    await leftBy({ pid: process.ppid, ...changes })
    await (await lockDataDir(dir)).release()
  })

  it('takes over a file that a power cut tore', async () => {
    await mkdir(dir)
    await writeFile(join(dir, 'lock.7'), '{"pid":')
    await (await lockDataDir(dir)).release()
    expect(await readdir(dir)).toEqual(['lock.8'])
  })

  it('trusts the id alone where the system does not say when a process started', async () => {
    await leftBy({ pid: process.ppid, started: undefined, boot: undefined })
    await expect(lockDataDir(dir)).rejects.toMatchObject({ details: { pid: process.ppid } })
  })

  it('never takes over from another host, and says which file to delete', async () => {
    await leftBy({ host: `not-${hostname()}`, pid: 2 ** 22 + 1 })
    await expect(lockDataDir(dir)).rejects.toThrow(/delete .*lock\.1/)
  })

  it('says that the directory cannot be used', async () => {
    await writeFile(dir, 'a file')
    await expect(lockDataDir(dir)).rejects.toMatchObject({
      code: 'bad_config',
      details: { problems: [{ path: 'dataDir' }] },
    })
  })

  it('can be released after the directory was deleted', async () => {
    const lock = await lockDataDir(dir)
    await rm(dir, { recursive: true })
    await expect(lock.release()).resolves.toBeUndefined()
  })
})
