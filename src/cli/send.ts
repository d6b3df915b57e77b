import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Config, Section } from '../config.js'
import type { SendingAction, SendingStatus } from '../services/touches/switch-sending.js'
import { SECOND_MS, systemClock } from '../time.js'
import type { ServiceOptions } from '../app/open-service.js'
import type { OperationResult } from '../services/runtime/operations.js'
import { formatAt } from '../print/table.js'
import { asCommand, bilingual, type Words } from '../said.js'
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

/** Sections that the switch does without: it needs the address of the documents, and nothing else. */
const UNNEEDED: readonly Section[] = [
  ...['brand', 'http', 'ingest', 'events', 'jobs', 'wecom', 'wechaty'],
  ...['sending', 'paths', 'linkBase', 'splitSeed', 'sources'],
] as Section[]
/** By then whatever was asked for has been answered, or is settled by reading back. */
const CONFIRM_MS = 30 * SECOND_MS
const LOOK_MS = 500

type Look = (action: SendingAction) => Promise<SendingStatus>

/** `siyu send stop|resume|status`: works whatever the definition files say, and without any secret. */
export async function sendCommand(action: SendingAction, options: ServiceOptions): Promise<void> {
  const { config: file, env, signal } = options
  const { loadConfig } = await import('../config.js')
  const { callService, findService } = await import('../app/running-service.js')
  const config = await loadConfig({ file, env, without: UNNEEDED })
  const running = await findService(config)
  const say = (look: Look) => switchAndSay(action, look, config, signal)
  if (running !== undefined)
    return say(
      async (act) => (await callService(running, '/v1/sending', { action: act })) as OperationResult<'sending'>,
    )
  const { requireData } = await import('../app/require-data.js')
  await requireData(config, options, ['documents'])
  const { openDocumentsOnly } = await import('../app/open-stores.js')
  const { localUser } = await import('../app/local-user.js')
  const { auditing } = await import('../services/runtime/run-operation.js')
  const { switchSending } = await import('../services/touches/switch-sending.js')
  const { docs, close } = await openDocumentsOnly(config)
  try {
    await say((act) =>
      auditing({ docs, clock: systemClock }, localUser(), 'sending', { action: act }, () =>
        switchSending(docs, act, systemClock.now()),
      ),
    )
  } finally {
    await close()
  }
}

async function switchAndSay(
  action: SendingAction,
  look: Look,
  { brand, sending }: Pick<Config, 'brand' | 'sending'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const words = bilingual(brand.locale)
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  const status = await look(action)
  const at = formatAt(status.since, brand.timeZone)
  const since = at === '' ? '' : words(`（自 ${at}）`, ` (since ${at})`)
  say(
    status.stopped
      ? words(`■ 已停发${since}`, `■ sending is stopped${since}`)
      : words(`▶ 可发送${since}`, `▶ sending is not stopped${since}`) +
          `${words('，', ', ')}sending.mode = ${sending.mode}`,
  )
  const { planned, ready } = status
  say(`  ${words(`待放行 ${planned}，待提交 ${ready}`, `${planned} planned, ${ready} ready`)}`)
  if (action !== 'stop') return
  say(await confirmStop(status, look, signal, words))
  say(
    `  ${words(
      '已交给企业微信、待导购确认的不受影响；恢复：',
      'what WeCom already has, waiting for guides, is not taken back; resume: ',
    )}${asCommand('siyu send resume')}`,
  )
}

/** Every process reads the switch before each request; what had read it before is over when nothing is asked for any more. */
async function confirmStop(
  status: SendingStatus,
  look: Look,
  signal: AbortSignal | undefined,
  words: Words,
): Promise<string> {
  let { asking } = status
  for (let waitedMs = 0; asking > 0 && waitedMs < CONFIRM_MS && signal?.aborted !== true; waitedMs += LOOK_MS) {
    await sleep(LOOK_MS)
    asking = (await look('status')).asking
  }
  return asking === 0
    ? `  ✓ ${words('每个进程都已停下，没有在途的发送', 'every process has stopped, nothing is on its way')}`
    : `  ! ${words(
        `还有 ${asking} 条在停发前已经发出请求，结果会读回，不会重发`,
        `${asking} had been asked for before; what became of them is read back, nothing is sent again`,
      )}`
}
