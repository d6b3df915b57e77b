import type { Command } from 'commander'
import type { SendingAction, SendingStatus } from '../services/touches/switch-sending.js'
import { systemClock } from '../time.js'
import type { ServiceOptions } from '../app/open-service.js'
import type { OperationResult } from '../services/runtime/operations.js'
import { formatAt } from '../print/table.js'
import { type CommandContext, configOption, serviceOptions, type WithConfig } from './options.js'

const ACTIONS: readonly [SendingAction, string][] = [
  ['stop', '立刻停止一切发送 · stop every send at once'],
  ['resume', '恢复发送 · send again'],
  ['status', '现在的状态 · how it stands'],
]

export function registerSend(program: Command, context: CommandContext): void {
  const send = program.command('send').description('停发开关 · the switch that stops every send')
  for (const [action, text] of ACTIONS) {
    send
      .command(action)
      .description(text)
      .addOption(configOption())
      .action(async (options: WithConfig) => sendCommand(action, serviceOptions(options, context)))
  }
}

/** `siyu send stop|resume|status`: works whatever the definition files say. */
export async function sendCommand(action: SendingAction, options: ServiceOptions): Promise<void> {
  const { config: file, env } = options
  const { loadConfig } = await import('../config.js')
  const { callService, findService } = await import('../app/running-service.js')
  const config = await loadConfig({ file, env })
  const running = await findService(config)
  let status: SendingStatus
  if (running === undefined) {
    const { requireData } = await import('../app/require-data.js')
    await requireData(config, options)
    const { openDocumentsOnly } = await import('../app/open-stores.js')
    const { localUser } = await import('../app/local-user.js')
    const { auditing } = await import('../services/runtime/run-operation.js')
    const { switchSending } = await import('../services/touches/switch-sending.js')
    const { docs, close } = await openDocumentsOnly(config)
    try {
      status = await auditing({ docs, clock: systemClock }, localUser(), 'sending', { action }, () =>
        switchSending(docs, action, systemClock.now()),
      )
    } finally {
      await close()
    }
  } else status = (await callService(running, '/v1/sending', { action })) as OperationResult<'sending'>
  const since = status.since === undefined ? '' : `（自 since ${formatAt(status.since, config.brand.timeZone)}）`
  process.stdout.write(
    status.stopped
      ? `■ 已停发${since} · sending is stopped\n`
      : `▶ 可发送${since} · sending is not stopped，sending.mode = ${config.sending.mode}\n`,
  )
  process.stdout.write(
    `  待放行 ${status.planned}，待提交 ${status.ready} · ${status.planned} planned, ${status.ready} ready\n`,
  )
  if (action === 'stop') {
    process.stdout.write(
      '  已交给企业微信、待导购确认的不受影响 · what WeCom already has, waiting for guides, is not taken back；恢复 resume: siyu send resume\n',
    )
  }
}
