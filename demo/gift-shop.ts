import { join } from 'node:path'
import { type Config, type Env, loadConfig, placedIn } from '../src/config.js'
import { packageRoot } from '../src/package-root.js'

/** The example brand: a folder with `config/` and `journeys/` like anybody's own. */
export function giftShopFolder(): string {
  return join(packageRoot(), 'examples', 'gift-shop')
}

/** What the demo takes in, in this order. The shop's own file names none, so that a copy of the folder stands by itself. */
const SOURCES = ['config/sources/members.yaml', 'config/sources/online-retail.yaml']

/** Its configuration, usable from wherever this process was started. @throws {ConfigError} */
export async function loadGiftShop(env: Env): Promise<Config> {
  const folder = giftShopFolder()
  const config = await loadConfig({ file: join(folder, 'config/service.yaml'), env })
  return placedIn(folder, { ...config, sources: SOURCES })
}
