import type { World } from '../../world/world.js'
import { acquisitionEndpoints } from './acquisition.js'
import { agentEndpoints } from './agent.js'
import { albumEndpoints } from './album.js'
import { appChatEndpoints } from './app-chat.js'
import { archiveEndpoints } from './archive.js'
import { contactEndpoints } from './contacts.js'
import type { Endpoints, Neighbour } from '../core/endpoint.js'
import { groupEndpoints } from './groups.js'
import { idEndpoints } from './ids.js'
import { interceptEndpoints } from './intercept.js'
import { kfEndpoints } from './kf/kf.js'
import { massEndpoints } from './mass.js'
import { mediaEndpoints } from './media.js'
import { memberEndpoints } from './members.js'
import { messageEndpoints } from './messages.js'
import { momentEndpoints } from './moments.js'
import { payNeighbour } from '../pay/pay.js'
import { paymentEndpoints } from './payments.js'
import { signInPages } from './sign-in-pages.js'
import { signInEndpoints } from './sign-in.js'
import { statisticsEndpoints } from './statistics.js'
import { strategyEndpoints } from './strategies.js'
import { retiredEndpoints } from './retired.js'
import { tagEndpoints } from './tags.js'
import { transferEndpoints } from './transfer.js'
import { wayEndpoints } from './ways.js'
import { webhookEndpoints } from './webhook.js'
import { welcomeEndpoints } from './welcome.js'
import { weixinNeighbour } from '../weixin/weixin.js'

/** Every path of the platform that the sandbox speaks, beside those of tokens. */
export function allEndpoints(world: World, limits: boolean): Endpoints {
  return {
    ...memberEndpoints(world),
    ...contactEndpoints(world),
    ...tagEndpoints(world),
    ...retiredEndpoints(),
    ...strategyEndpoints(world),
    ...groupEndpoints(world),
    ...wayEndpoints(world),
    ...acquisitionEndpoints(world),
    ...idEndpoints(world),
    ...transferEndpoints(world),
    ...statisticsEndpoints(world),
    ...signInEndpoints(world),
    ...agentEndpoints(world),
    ...massEndpoints(world),
    ...welcomeEndpoints(world),
    ...messageEndpoints(world, limits),
    ...appChatEndpoints(world, limits),
    ...mediaEndpoints(world),
    ...momentEndpoints(world),
    ...albumEndpoints(world),
    ...interceptEndpoints(world),
    ...archiveEndpoints(world),
    ...kfEndpoints(world, limits),
    ...paymentEndpoints(world),
    ...webhookEndpoints(world),
  }
}

/** Other platforms on the same port; asked in this order, before WeCom. */
export function allNeighbours(world: World, limits: boolean): Neighbour[] {
  return [signInPages(world), payNeighbour(world, limits), weixinNeighbour(world, limits)]
}
