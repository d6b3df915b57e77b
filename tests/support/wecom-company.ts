import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadGiftShop } from '../../demo/gift-shop.js'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario, type ScenarioInput } from '../../sandbox/scenario.js'
import { type App, createApp } from '../../src/app/compose.js'
import { type Config, loadConfig } from '../../src/config.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer } from '../../src/http/server.js'
import { quietLog } from '../../src/log.js'
import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import { workOff } from '../../src/play/live.js'
import { wecomOf } from '../../demo/wecom-of.js'

/** A sandbox on a stepped clock, and the whole service behind its callbacks. Lanes run when they are asked to. */
export type Company = {
  sandbox: Sandbox
  app: App
  deps: ServiceDeps
  callbackUrl: string
  /** Plays the world up to `to`; callbacks are stored when it resolves. */
  until(to: Date): Promise<void>
  /** Works off everything that is due now, but the lanes named. */
  settle(but?: readonly string[]): Promise<void>
  /** What an operator does on the control page, e.g. `contacts/delete`. */
  control(what: string, body: object): Promise<void>
  close(): Promise<void>
}

export async function openCompany(options: {
  startAt: Date
  scenario: ScenarioInput
  config?: Partial<Config>
  wecom?: Partial<NonNullable<Config['wecom']>>
}): Promise<Company> {
  const home = mkdtempSync(join(tmpdir(), 'siyu-company-'))
  const sandbox = await startSandbox({
    file: ':memory:',
    seed: 1,
    startAt: options.startAt,
    clock: 'step',
    scenario: parseScenario(options.scenario),
  })
  const base = await loadConfig({ file: 'config/service.yaml', env: { WECOM_SECRET: sandbox.app.secret } })
  const { paths, linkBase } = await loadGiftShop({})
  const app = await createApp({
    config: {
      ...base,
      ...{ paths, linkBase },
      dataDir: join(home, 'data'),
      documents: { kind: 'sqlite' },
      events: { kind: 'chdb' },
      jobs: { ...base.jobs, kind: 'in-process' },
      sending: { mode: 'live', allowList: [] },
      wecom: { ...wecomOf(sandbox, 'off'), ...options.wecom },
      ...options.config,
    },
    log: quietLog,
    clock: sandbox,
    pause: () => Promise.resolve(),
    fsync: false,
    hints: false,
  })
  await app.publish()
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: ['test-key-0123456789'],
    log: quietLog,
    routes: [],
    publicRoutes: [],
    rawRoutes: app.callbackRoutes,
    health: () => Promise.resolve({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  const { url } = await server.listen()
  sandbox.setCallbackUrl(`${url}/wecom/callback`)
  return {
    sandbox,
    app,
    deps: app.deps,
    callbackUrl: `${url}/wecom/callback`,
    until: (to) => sandbox.advanceTo(to),
    settle: async (but) => {
      await workOff(app.deps, async ({ name }) => void (await app.runLane(name)), but === undefined ? {} : { but })
    },
    control: async (what, body) => {
      const response = await fetch(`${sandbox.url}/control/${what}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${sandbox.controlKey}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      })
      if (!response.ok) throw new Error(`control ${what}: ${response.status} ${await response.text()}`)
    },
    close: async () => {
      await server.close()
      await app.close()
      await sandbox.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
