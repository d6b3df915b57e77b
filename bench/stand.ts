import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type App, type AppOptions, createApp } from '../src/app/compose.js'
import { type Config, loadConfig, placedIn } from '../src/config.js'
import { loadGiftShop } from '../demo/gift-shop.js'
import { quietLog } from '../src/log.js'
import { packageRoot } from '../src/package-root.js'
import type { Clock } from '../src/time.js'

export const root = packageRoot()

/**
 * The product on embedded stores in `dataDir`, with the definitions of the gift shop; beside journeys of its own with the
 * policy of an empty brand, which names none. Nothing works by itself: lanes are called.
 */
export async function openStand(
  dataDir: string,
  clock: Clock,
  {
    wecom,
    paths: own,
    ...options
  }: Partial<AppOptions> & Pick<Config, 'wecom'> & { paths?: Partial<Config['paths']> } = {},
): Promise<App> {
  const config = placedIn(root, await loadConfig({ file: join(root, 'config/service.yaml'), env: {} }))
  const { paths, linkBase } = await loadGiftShop({})
  const app = await createApp({
    config: {
      ...config,
      linkBase,
      dataDir,
      paths: { ...paths, ...(own?.journeys !== undefined && { policy: config.paths.policy }), ...own },
      documents: { kind: 'sqlite' },
      events: { kind: 'chdb' },
      jobs: { ...config.jobs, kind: 'in-process' },
      sending: { mode: 'live', allowList: [] },
      ...(wecom && { wecom }),
    },
    ...options,
    log: quietLog,
    clock,
    hints: false,
  })
  await app.publish()
  return app
}

export function installedVersion(name: string): string {
  const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
