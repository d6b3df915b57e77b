import type { CallbackSender } from '../../callbacks.js'
import type { SandboxClock } from '../../clock.js'
import type { Sandbox } from '../../interface.js'
import type { World } from '../../world/world.js'
import type { Faults } from '../core/faults.js'
import type { Handler } from '../core/handle.js'

/** What the control API and the page are made of. */
export type ControlParts = {
  world: World
  sandbox: Omit<Sandbox, 'url' | 'close'>
  clock: SandboxClock
  faults: Faults
  callbacks: CallbackSender
  /** Sends the callbacks of what somebody just did. */
  act: () => Promise<void>
  handler: () => Handler
}

/** By method and path. */
export type ControlRoutes = Record<string, (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>>
