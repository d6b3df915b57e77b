import type { Command } from 'commander'
import type { CommandContext } from './options.js'
import { registerWecomSignOut } from './wecom-sign-out.js'
import { registerWecomStats } from './wecom-stats.js'
import { registerWecomSync } from './wecom-sync.js'
import { registerWecomTransfer } from './wecom-transfer.js'
import { registerWecomWays } from './wecom-ways.js'

/** `siyu wecom …` */
export function registerWecom(program: Command, context: CommandContext): void {
  const wecom = program.command('wecom').description('企业微信 · WeCom')
  for (const register of [
    registerWecomSync,
    registerWecomWays,
    registerWecomTransfer,
    registerWecomStats,
    registerWecomSignOut,
  ])
    register(wecom, context)
}
