import { openDocumentsOnly } from '../app/open-stores.js'
import { loadConfig } from '../config.js'
import { type SendingAction, type SendingStatus, switchSending } from '../services/touches/switch-sending.js'
import { systemClock } from '../time.js'
import type { ServiceOptions } from '../app/open-service.js'
import type { OperationResult } from '../services/runtime/operations.js'
import { callService, findService } from '../app/running-service.js'
import { formatAt } from './table.js'

/** `siyu send stop|resume|status`: works whatever the definition files say. */
export async function sendCommand(action: SendingAction, { config: file, env }: ServiceOptions): Promise<void> {
  const config = await loadConfig({ file, env })
  const running = await findService(config)
  let status: SendingStatus
  if (running === undefined) {
    const { docs, close } = await openDocumentsOnly(config)
    try {
      status = await switchSending(docs, action, systemClock.now())
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
