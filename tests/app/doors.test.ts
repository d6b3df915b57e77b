import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, it } from '@jest/globals'
import { createApp } from '../../src/app/compose.js'
import { COMMANDS, ROUTES } from '../../src/app/doors.js'
import { httpRoutes } from '../../src/app/wire-http.js'
import { createProgram } from '../../src/cli/program.js'
import { loadConfig } from '../../src/config.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer } from '../../src/http/server.js'
import { quietLog } from '../../src/log.js'
import { operations } from '../../src/services/runtime/operations.js'

const known = Object.keys(operations)

function leaves(command: Command, path: readonly string[] = []): string[] {
  return command.commands.length === 0
    ? [path.join(' ')]
    : command.commands.flatMap((c) => leaves(c, [...path, c.name()]))
}

describe('every door', () => {
  it('of the command line leads to an operation, or says why not', () => {
    const program = createProgram({ env: {}, signal: new AbortController().signal })
    expect(leaves(program).sort()).toEqual(Object.keys(COMMANDS).sort())
    for (const door of Object.values(COMMANDS)) {
      if ('why' in door) expect(door.why).not.toBe('')
      else expect(known).toEqual(expect.arrayContaining([...door]))
    }
  })

  it('over HTTP leads to an operation, or says why not', async () => {
    const home = mkdtempSync(join(tmpdir(), 'siyu-doors-'))
    const base = await loadConfig({ file: 'config/service.yaml', env: {} })
    const app = await createApp({
      config: {
        ...base,
        dataDir: join(home, 'data'),
        wecom: {
          baseUrl: 'http://127.0.0.1:1',
          corpId: 'wwtest',
          agentId: 1,
          secret: 'a-secret-of-an-app',
          callback: { token: 'token', encodingAesKey: 'A'.repeat(43) },
          sidebar: { url: 'http://127.0.0.1:1' },
          reconcileAt: 'off',
          lostNotice: { guide: false, userIds: [] },
          writeback: 'off',
          statisticsAt: 'off',
        },
      },
      log: quietLog,
      fsync: false,
    })
    try {
      const { routes } = createHttpServer({
        host: '127.0.0.1',
        port: 0,
        apiKeys: ['test-key-0123456789'],
        localKey: 'local-key-0123456789',
        log: quietLog,
        health: () => Promise.resolve({ ready: true, parts: {} }),
        metrics: createMetrics(),
        ...httpRoutes(app, quietLog),
      })
      const own = known.map((name) => `POST /v1/${name}`)
      expect([...routes].sort()).toEqual([...Object.keys(ROUTES), ...own].sort())
      for (const door of Object.values(ROUTES))
        expect(typeof door === 'string' ? known.includes(door) : door.why).toBeTruthy()
    } finally {
      await app.close()
      rmSync(home, { recursive: true, force: true })
    }
  })
})
