import { type Command, InvalidArgumentError } from 'commander'
import { type ClockMode, speedOf } from '../../sandbox/clock.js'
import type { SandboxCommandOptions } from '../../sandbox/command.js'
import { said } from '../said.js'
import { type CommandContext, examples, localeOf, wholeNumber } from './options.js'

export function registerSandbox(program: Command, { env, signal }: CommandContext): void {
  program
    .command('sandbox')
    .description('本地企业微信沙盒 · a local WeCom to try things on')
    .option('--port <n>', '端口，默认任选 · port; default: any free one', wholeNumber)
    .option('--scenario <file>', '成员与客户 YAML · members and customers as YAML')
    .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
    .option(
      '--clock <kind>',
      'real 真实时间；60x 六十倍速；step 由控制接口推进 · real time, N times faster, or moved by the control API',
      clockMode,
      'real',
    )
    .option('--start-at <time>', '从何时开始 · where a stepped or fast clock starts', instant)
    .option('--callback <url>', '把回调发到哪里 · where callbacks are sent')
    .option('--state <file>', '状态文件，默认在内存 · state file; default: in memory')
    .option('--json', '给程序读的一行 JSON · one line of JSON for programs', false)
    .addHelpText('after', examples('siyu sandbox --port 9090 --callback http://127.0.0.1:8080/wecom/callback'))
    .action(async ({ scenario, state, ...rest }: SandboxOptions) => {
      await runSandboxCommand(
        {
          ...rest,
          lang: localeOf(env),
          ...(scenario === undefined ? {} : { scenarioFile: scenario }),
          ...(state === undefined ? {} : { stateFile: state }),
        },
        signal,
      )
    })
}

type SandboxOptions = {
  port?: number
  scenario?: string
  seed: number
  clock: ClockMode
  startAt?: Date
  callback?: string
  state?: string
  json: boolean
}

/** `siyu sandbox`: the local WeCom, until `stopped`. */
export async function runSandboxCommand(
  options: Omit<SandboxCommandOptions, 'write'>,
  stopped: AbortSignal,
): Promise<void> {
  const { sandboxCommand } = await import('../../sandbox/command.js')
  const sandbox = await sandboxCommand({ ...options, write: (line) => process.stdout.write(`${line}\n`) })
  try {
    if (!stopped.aborted) {
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
  } finally {
    await sandbox.close()
  }
}

/** `real`, `step` or a speed like `60x`; `undefined` when it is none of them. */
export function parseClock(text: string): ClockMode | undefined {
  if (text === 'real' || text === 'step') return text
  const speed = speedOf(text)
  return speed === undefined ? undefined : `${speed}x`
}

function clockMode(text: string): ClockMode {
  const clock = parseClock(text)
  if (clock === undefined)
    throw new InvalidArgumentError(said('写成 real、step 或 60x 这样的倍速', 'write real, step or a speed like 60x'))
  return clock
}

function instant(text: string): Date {
  const at = new Date(text)
  if (Number.isNaN(at.getTime()))
    throw new InvalidArgumentError(said('写成 2026-01-31T09:00:00+08:00', 'write it as 2026-01-31T09:00:00+08:00'))
  return at
}
