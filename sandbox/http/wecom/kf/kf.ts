import type { World } from '../../../world/world.js'
import type { Endpoints } from '../../core/endpoint.js'
import { kfAccountEndpoints } from './accounts.js'
import { kfMessageEndpoints } from './messages.js'
import { kfSessionEndpoints } from './sessions.js'

/** WeChat customer service (微信客服): accounts, who serves, states of sessions, messages both ways. */
export function kfEndpoints(world: World, limits: boolean): Endpoints {
  return { ...kfAccountEndpoints(world), ...kfSessionEndpoints(world), ...kfMessageEndpoints(world, limits) }
}
