import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openApiKeys } from '../../src/http/api-key.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-key-'))
})
afterEach(() => rm(dir, { recursive: true }))

describe('openApiKeys', () => {
  it('uses the configured keys and makes none', async () => {
    expect(await openApiKeys(['a'.repeat(16)], dir)).toEqual({ apiKeys: ['a'.repeat(16)] })
    expect(await readdir(dir)).toEqual([])
  })

  it('makes one key, keeps it for the next start, and only for this user', async () => {
    const first = await openApiKeys([], dir)
    expect(first.apiKeys[0]).toMatch(/^[0-9a-f]{48}$/)
    expect(first.file).toBe(join(dir, 'api-key'))
    expect(await openApiKeys([], dir)).toEqual(first)
    expect((await stat(join(dir, 'api-key'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(dir, 'api-key'), 'utf8')).toBe(`${first.apiKeys[0]}\n`)
  })

  it('gives processes that start together the same key', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => openApiKeys([], dir)))
    expect(new Set(all.map((k) => k.apiKeys[0])).size).toBe(1)
    expect(await readdir(dir)).toEqual(['api-key'])
  })

  it('says what to do with a file that holds no key', async () => {
    await writeFile(join(dir, 'api-key'), '\n')
    await expect(openApiKeys([], dir)).rejects.toMatchObject({
      code: 'bad_config',
      message: expect.stringContaining('delete it'),
    })
  })
})
