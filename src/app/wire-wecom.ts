import { said } from '../said.js'
import { createActions } from '../adapters/wecom/port/actions.js'
import { type CallbackReader, openCallback } from '../adapters/wecom/transport/callback.js'
import type { WecomStats } from '../adapters/wecom/transport/call-stats.js'
import { createWecomClient, type WecomOptions } from '../adapters/wecom/client.js'
import { createWecomPort } from '../adapters/wecom/port/port.js'
import { createInProcessQuota } from '../adapters/wecom/transport/quota-in-process.js'
import { openRedisQuota } from '../adapters/wecom/transport/quota-redis.js'
import { createSignIn } from '../adapters/wecom/calls/sign-in.js'
import { refusing } from './refusing.js'
import { missingChannels, openChannels } from './channels.js'
import type { Config } from '../config.js'
import { ConfigError } from '../errors.js'
import type { Log } from '../log.js'
import type { Channels } from '../ports/channel.js'
import type { WecomActions } from '../ports/wecom-actions.js'
import type { WecomPort } from '../ports/wecom.js'
import type { WecomSignIn } from '../ports/wecom-sign-in.js'
import type { Clock } from '../time.js'

/** How the client reaches WeCom; what is left out is the network and real time. */
export type WecomWiring = {
  /** How the WeCom client waits; default real time. Give one with a virtual clock. */
  pause?: (ms: number, signal?: AbortSignal) => Promise<void>
  /** How it reaches the platform, and whose limits it keeps; default over the network, in real time. */
  wecomWay?: Pick<WecomOptions, 'adapter' | 'timeoutSignal' | 'quota'>
}

/** What WeCom is to the rest of the service. */
export type Wired = {
  port: WecomPort
  actions: WecomActions
  channels: Channels
  callback?: CallbackReader
  signIn?: WecomSignIn
  stats: () => WecomStats
  close(): Promise<void>
}

/** Client, port, channels and callback of the company; stand-ins that say what is missing when none is configured. */
export async function wireWecom({ wecom, jobs }: Config, clock: Clock, log: Log, options: WecomWiring): Promise<Wired> {
  if (wecom === undefined) return { ...withoutWecom(), stats: () => ({}), close: () => Promise.resolve() }
  const { baseUrl, corpId, agentId, secret } = wecom
  const waiting = options.pause === undefined ? {} : { pause: options.pause }
  // Processes that share a queue share the company's limits as well.
  const quota = jobs.kind === 'bull' ? await openRedisQuota({ ...jobs, corpId, log }) : createInProcessQuota(clock)
  const client = createWecomClient({
    ...{ baseUrl, corpId, agentId, secret, clock, log, quota },
    ...waiting,
    ...options.wecomWay,
  })
  return {
    actions: createActions(client),
    port: createWecomPort(client),
    channels: openChannels({ client, clock, ...waiting }),
    ...(wecom.callback === undefined ? {} : { callback: openCallback({ ...wecom.callback, corpId }) }),
    signIn: createSignIn(client, corpId),
    stats: () => client.stats(),
    close: async () => {
      client.close()
      await quota.close()
    },
  }
}

/** Without WeCom configured everything else works; a send says what is missing. */
function withoutWecom(): Pick<Wired, 'port' | 'actions' | 'channels'> {
  const missing = new ConfigError(said('没有配置企业微信', 'WeCom is not configured'), [
    {
      path: 'wecom',
      message: said('service.yaml 里没有这一段', 'it is missing in service.yaml'),
      hint: said('写上 corpId、agentId 和 secret', 'set corpId, agentId and secret'),
    },
  ])
  return {
    channels: missingChannels(missing.message),
    port: refusing(missing),
    actions: refusing(missing),
  }
}
