import { describe, expect, it } from '@jest/globals'
import { refusing } from '../../src/app/refusing.js'
import { ConfigError } from '../../src/errors.js'

const missing = new ConfigError('it is not configured', [])
type Part = {
  now(): string
  later(): Promise<string>
  pages(): AsyncIterable<string>
  inner: { later(): Promise<string> }
}

describe('a stand-in that refuses', () => {
  const part = refusing<Part>(missing)

  it('fails every call with what is missing, at once, later, page by page and inside', async () => {
    expect(() => part.now()).toThrow(missing)
    await expect((async () => part.later())()).rejects.toThrow(missing)
    await expect((async () => part.inner.later())()).rejects.toThrow(missing)
    const read = async () => {
      for await (const page of part.pages()) return page
    }
    await expect(read()).rejects.toThrow(missing)
  })

  it('can be awaited and handed on without being called', async () => {
    expect(await Promise.resolve(part)).toBe(part)
    expect(typeof part.inner).toBe('function')
  })
})
