import type { Command } from 'commander'
import { registerExplain } from './explain.js'
import type { CommandContext } from './options.js'

export function registerJourneys(program: Command, context: CommandContext): void {
  const journeys = program.command('journeys').description('旅程：解释进入条件 · journeys: explain who enters')
  registerExplain(journeys, context, {
    description: '一个人是否满足进入条件，为什么 · whether a person meets the entry rule, and why',
    argument: ['<journey>', '旅程 id · journey id'],
    examples: [
      'siyu journeys explain vip-dormant-30-60d --profile 42',
      'siyu journeys explain vip-dormant-30-60d --profile 42 --as-of 2026-11-01T10:00',
    ],
    ask: (service, journey, of) => service.call('journeys/explain', { journey, ...of }),
  })
}
