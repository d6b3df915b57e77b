import { wechaty } from '../../connectors/wechaty/index.js'
import { ChatRules } from '../../connectors/wechaty/rules.js'
import { runWechatyBot } from '../adapters/wechaty/bot.js'
import { loadWechaty } from '../adapters/wechaty/load.js'
import type { Config } from '../config.js'
import type { ChatBot } from '../ports/chat-bot.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { noteBotState, takeChats } from '../services/ingest/take-chats.js'
import { loadYaml } from '../yaml-file.js'

/** Starts the wechaty bot; `undefined` when none is configured. @throws {ConfigError} saying what to install or mend */
export async function startBot(config: Config, deps: ServiceDeps): Promise<ChatBot | undefined> {
  if (config.wechaty === undefined) return undefined
  const rules = await loadYaml(ChatRules, config.wechaty.rules)
  const connector = wechaty(rules)
  return runWechatyBot({
    build: await loadWechaty(config.wechaty),
    clock: deps.clock,
    log: deps.log,
    take: (sightings) =>
      takeChats(
        deps,
        { toRecords: (one) => connector.toRecords(one, deps.clock.now()), keepTextDays: rules.keepTexts?.days },
        sightings,
      ),
    onState: (state) => noteBotState(deps, state),
  })
}
