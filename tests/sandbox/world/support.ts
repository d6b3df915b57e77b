import { XMLParser } from 'fast-xml-parser'
import { identityOf } from '../../../sandbox/identity.js'
import { parseScenario, type ScenarioInput } from '../../../sandbox/scenario.js'
import { State } from '../../../sandbox/state.js'
import { World } from '../../../sandbox/world/world.js'
import { smallScenario, START } from '../support.js'

const parser = new XMLParser({ parseTagValue: false })

/** A world in memory whose callbacks stay in the outbox. */
export function openWorld(scenario: ScenarioInput = smallScenario()): World {
  const world = new World(new State(':memory:'), 1, parseScenario(scenario), identityOf(1), () => true)
  world.write(() => {
    world.populate(START)
    world.state.setMeta('now_ms', String(START.getTime()))
  })
  return world
}

/** Everything that was raised, decoded, without what all have in common. */
export function raised(world: World): Record<string, unknown>[] {
  return world.state.all<{ body: string }>('SELECT body FROM outbox ORDER BY seq').map(({ body }) => {
    const fields = (parser.parse(body) as { xml: Record<string, unknown> }).xml
    for (const name of ['ToUserName', 'FromUserName', 'CreateTime', 'MsgType']) delete fields[name]
    return fields
  })
}

export function play(world: World, to: Date): void {
  while (world.playNext(to) !== undefined);
}
