import type { Command } from 'commander'
import type { Env } from '../config.js'
import { formatClock } from '../print/table.js'
import { asCommand, bilingual } from '../said.js'
import { type CommandContext, configOption, examples, type WithConfig } from './options.js'
import { whyCommand } from './why.js'

export function registerTry(program: Command, { env, signal }: CommandContext): void {
  program
    .command('try')
    .description(
      '试自己的旅程：本地企业微信里一位顾客会收到什么 · what a customer in a local WeCom gets of your journeys',
    )
    .addOption(configOption())
    .option('--journey <id>', '试哪个旅程，默认最近改过的 · which journey; default: the one changed last')
    .option(
      '--once',
      '第一条消息到了就结束，没到则退出码 1 · end with the first message; exit code 1 without one',
      false,
    )
    .addHelpText('after', examples('siyu try', 'siyu try --journey welcome-new', 'siyu try --once'))
    .action(async (options: TryCommand) => {
      if (!(await tryCommand(options, env, signal))) process.exitCode = 1
    })
}

export type TryCommand = WithConfig & { journey?: string; once: boolean }

/**
 * `siyu try`: the brand's definitions and a sandbox, with one guide and one customer, until a message of the journey is in her
 * chat; then on, until stopped. Resolves to whether it came.
 */
export async function tryCommand(
  { config: configFile, journey, once }: TryCommand,
  env: Env,
  stopped: AbortSignal,
): Promise<boolean> {
  const [{ startTrial }, { quietLog }, { systemClock }] = await Promise.all([
    import('../../demo/try-brand.js'),
    import('../log.js'),
    import('../time.js'),
  ])
  const trial = await startTrial({
    ...{ configFile, env, log: quietLog, clock: systemClock, folder: process.cwd() },
    ...(journey !== undefined && { journey }),
  })
  try {
    const { brand } = trial.config
    const words = bilingual(brand.locale)
    const write = (line: string) => void process.stdout.write(`${line}\n`)
    const tell = ({ at, text }: { at: Date; text: { zh: string; en: string } }) =>
      write(`  ${formatClock(at, brand.timeZone)}  ${words(text.zh, text.en)}`)
    const { id, file, isExample, contacts } = trial.journey
    write(
      isExample
        ? words(
            `还没有旅程，先用例子 ${id}（examples/first-journey.yaml，复制到 journeys/ 就是你的）`,
            `There is no journey yet: this is the example ${id} (copy examples/first-journey.yaml to journeys/ to make it yours)`,
          )
        : words(`试旅程 ${id}（${file}）`, `Trying the journey ${id} (${file})`),
    )
    // With --once there is nobody there to open it.
    if (!once) write(words(`  页面 ${trial.pageUrl}`, `  page ${trial.pageUrl}`))
    const came = await trial.first(stopped, tell)
    const person = await trial.profileId()
    if (came === 'message')
      write(words('✓ 顾客收到了旅程的第一条消息', '✓ The first message of the journey has arrived'))
    else if (came === 'task')
      write(
        words(
          '✓ 导购收到了旅程的第一个任务，并已完成',
          '✓ The guide has got the first task of the journey, and done it',
        ),
      )
    else {
      write(words(`✗ 三十天里没有收到消息，原因如下`, '✗ No message came within thirty days; this is why'))
      if (!contacts)
        write(words('  这个旅程没有 send 或 task 步骤', '  this journey has no step that sends or asks a guide'))
      if (person !== undefined) await whyCommand({ profileId: person }, { config: trial.configFile, env: {} })
      if (once) return false
      write(
        words(
          `进入条件：siyu journeys explain ${id} --profile ${person ?? 1} --config ${trial.configFile}`,
          `Its entry: siyu journeys explain ${id} --profile ${person ?? 1} --config ${trial.configFile}`,
        ),
      )
    }
    if (once) return came !== undefined
    write('')
    write(
      words(
        '页面上可以下单、回复、删除好友、把时间往前推；其他命令在另一个终端里执行，例如',
        'Order, reply, delete or move the time on the page; ask in another terminal, for example',
      ),
    )
    write(asCommand(`  siyu why ${person ?? 1} --config ${trial.configFile}`))
    write(words('按 Ctrl-C 结束，不留下任何东西', 'Ctrl-C ends it and leaves nothing behind'))
    await trial.goOn(stopped, tell)
    return came !== undefined
  } finally {
    await trial.close()
  }
}
