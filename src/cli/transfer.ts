import { readFile } from 'node:fs/promises'
import { InvalidInputError, messageOf } from '../errors.js'
import type { Transfer } from '../stored/wecom.js'
import { openService, type ServiceOptions } from '../app/open-service.js'
import { formatCount } from './report-text.js'
import { formatAt, renderTable } from './table.js'

export type TransferCommand = { from: string; to: string; customers?: string; resigned: boolean; message?: string }

/** `siyu wecom transfer`: asks for customers to change hands; the service follows what becomes of it. */
export async function transferCommand(command: TransferCommand, options: ServiceOptions): Promise<void> {
  const { from, to, customers, resigned, message } = command
  const externalUserIds = customers === undefined ? undefined : await readIds(customers)
  const service = await openService(options)
  try {
    const { asked, underWay } = await service.call('wecom/transfer', {
      from,
      to,
      kind: resigned ? 'resigned' : 'onjob',
      ...(externalUserIds !== undefined && { externalUserIds }),
      ...(message !== undefined && { message }),
    })
    const running =
      service.url === undefined ? '；siyu serve 运行后才会提交 they are asked for once siyu serve runs' : ''
    process.stdout.write(
      `✓ ${formatCount(asked)} 位客户将从 ${from} 转给 ${to}，24 小时后生效 · ${formatCount(asked)} customers will change hands in 24 hours` +
        `${underWay === 0 ? '' : `；${formatCount(underWay)} 位已在途中 under way already`}${running}\n进度 progress: siyu wecom transfers\n`,
    )
  } finally {
    await service.close()
  }
}

const STATES: Readonly<Record<Transfer['state'], string>> = {
  ready: '待提交 to be asked for',
  asking: '提交中 being asked for',
  waiting: '等待生效 waiting',
  seen: '别处发起 made elsewhere',
  done: '完成 done',
  failed: '失败 failed',
}

/** `siyu wecom transfers`: how transfers stand, and whom they failed for. */
export async function transfersCommand(options: ServiceOptions): Promise<void> {
  const service = await openService(options)
  try {
    const { groups, failed } = await service.call('wecom/transfers', {})
    const { timeZone } = service.config.brand
    process.stdout.write(
      renderTable(
        [
          { title: '从 from' },
          { title: '给 to' },
          { title: '状态 state' },
          { title: '客户 customers', align: 'right' },
          { title: '最近 latest' },
        ],
        groups.map((g) => [g.from, g.to, STATES[g.state], formatCount(g.customers), formatAt(g.latestAt, timeZone)]),
      ),
    )
    for (const f of failed) process.stdout.write(`✗ ${f.externalUserId} ${f.from} → ${f.to}: ${f.reason}\n`)
  } finally {
    await service.close()
  }
}

/** One external userid a line. @throws {InvalidInputError} */
async function readIds(file: string): Promise<string[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (err) {
    const hint = '每行一个 external_userid one a line'
    throw new InvalidInputError('--customers', [{ file, path: '--customers', message: messageOf(err), hint }], {
      cause: err,
    })
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
