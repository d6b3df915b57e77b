import { ENTRY_PREFIX } from '../../../domain/journeys/definition.js'
import { enterJourneys } from '../../journeys/enter-journeys.js'
import type { Reaction } from './reaction.js'

/** An entry rule holds that did not, or for who did what its journey begins with: she enters, once for this instant. */
export const enterByRule: Reaction = {
  follows: () => (id) => id.startsWith(ENTRY_PREFIX),
  async react(deps, changes, { now, key }) {
    const entries = changes
      .filter((c) => c.new === '1')
      .map((c) => ({ profileId: c.p, journeyId: c.id.slice(ENTRY_PREFIX.length) }))
    await enterJourneys(deps, entries, now, key)
  },
}
