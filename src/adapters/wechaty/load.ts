import type { Wechaty } from 'wechaty'
import { ConfigError, messageOf } from '../../errors.js'

export type WechatySettings = {
  /** Package of the bot: `wechaty`, or a fork with the same interface. */
  module: string
  /** Package of the puppet, e.g. `wechaty-puppet-service`. */
  puppet: string
  puppetOptions: Readonly<Record<string, unknown>>
  /** Names the file in which the bot remembers that it is signed in. */
  name: string
}

/** What is built has to be started by the caller. */
export type BuildBot = () => Wechaty

/**
 * Loads wechaty and the puppet, which are no dependencies of ours: whoever configures them installs them.
 *
 * @throws {ConfigError} saying what to install
 */
export async function loadWechaty({ module, puppet, puppetOptions, name }: WechatySettings): Promise<BuildBot> {
  const { WechatyBuilder } = (await load(module, 'wechaty.module')) as typeof import('wechaty')
  await load(puppet, 'wechaty.puppet')
  return () => WechatyBuilder.build({ name, puppet: puppet as never, puppetOptions: { ...puppetOptions } })
}

async function load(name: string, path: string): Promise<unknown> {
  try {
    return (await import(name)) as unknown
  } catch (err) {
    const isMissing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes((err as NodeJS.ErrnoException).code ?? '')
    const problem = isMissing
      ? { path, message: `软件包 ${name} 没有安装 · package ${name} is not installed`, hint: `npm install ${name}` }
      : { path, message: `${name} 无法加载 · cannot be loaded: ${messageOf(err)}`, hint: `npm install ${name}@latest` }
    throw new ConfigError('wechaty', [problem], { cause: err })
  }
}
