import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'

/** `src/app/compose.ts`, `lint/rooms.js`, `src/app/` in backquotes; a `<name>` stands for any. */
const NAMED = /`((?:src|connectors|sandbox|demo|samples|bench|tests|lint|config|docs|schemas)\/[^`\s<>*]*)`/g

describe('documents that lead through the code', () => {
  it.each(['docs/architecture.md', 'docs/sandbox.md', 'CONTRIBUTING.md', 'README.md', 'README.zh-CN.md'])(
    '%s names only what is there',
    (document) => {
      const named = [...readFileSync(document, 'utf8').matchAll(NAMED)].map(([, path]) => path!)
      expect(named.length).toBeGreaterThan(0)
      expect(named.filter((path) => !existsSync(path))).toEqual([])
    },
  )
})
