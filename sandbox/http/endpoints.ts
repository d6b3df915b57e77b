import type { World } from '../world/world.js'
import { contactEndpoints } from './contacts.js'
import type { Endpoints, Neighbour } from './endpoint.js'
import { massEndpoints } from './mass.js'
import { mediaEndpoints } from './media.js'
import { memberEndpoints } from './members.js'
import { messageEndpoints } from './messages.js'
import { tagEndpoints } from './tags.js'
import { tokenEndpoints } from './tokens.js'

/** Every path of the platform that the sandbox speaks. */
export function allEndpoints(world: World, limits: boolean): Endpoints {
  return {
    ...tokenEndpoints(world),
    ...memberEndpoints(world),
    ...contactEndpoints(world),
    ...tagEndpoints(world),
    ...massEndpoints(world),
    ...messageEndpoints(world, limits),
    ...mediaEndpoints(world, limits),
  }
}

/** Other platforms on the same port; asked in this order for paths that WeCom does not know. */
export function allNeighbours(_world: World, _limits: boolean): Neighbour[] {
  return []
}
