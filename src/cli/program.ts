import { Command, type ErrorOptions, type Option } from 'commander'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.js'
import { displayWidth, wrap } from '../print/display-width.js'
import { bilingual, inLanguage, said, type Words } from '../said.js'
import { registerAudit } from './audit.js'
import { registerBackup, registerRestore } from './backup.js'
import { registerCheck } from './check.js'
import { registerDemo } from './demo.js'
import { registerDoctor } from './doctor.js'
import { registerImport } from './import.js'
import { registerInit } from './init.js'
import { registerIngest } from './ingest.js'
import { registerJourneys } from './journeys.js'
import { type CommandContext, localeOf, type RegisterCommand } from './options.js'
import { registerPath } from './path.js'
import { registerPeople, registerPerson } from './people.js'
import { registerPublish } from './publish.js'
import { registerSandbox } from './sandbox.js'
import { registerSchemas } from './schemas.js'
import { registerSegments } from './segments.js'
import { registerSend } from './send.js'
import { registerServe } from './serve.js'
import { registerStatus } from './status.js'
import { registerTags } from './tags.js'
import { registerTry } from './try.js'
import { usageError } from './usage-error.js'
import { registerWecom } from './wecom.js'
import { registerWhy } from './why.js'

/** In the order in which help shows them. */
const COMMANDS: readonly RegisterCommand[] = [
  registerDemo,
  registerInit,
  registerTry,
  registerServe,
  registerStatus,
  registerCheck,
  registerDoctor,
  registerPublish,
  registerImport,
  registerPeople,
  registerPerson,
  registerPath,
  registerIngest,
  registerTags,
  registerSegments,
  registerJourneys,
  registerWecom,
  registerSend,
  registerWhy,
  registerAudit,
  registerBackup,
  registerRestore,
  registerSandbox,
  registerSchemas,
]

/**
 * The command line; its help is in the language of whoever sits at the terminal.
 *
 * @param context - what is run is written into it
 */
export function createProgram(context: CommandContext): Command {
  const locale = localeOf(context.env)
  const words = bilingual(locale)
  const program = new SpeakingCommand(locale, 'siyu')
    .configureHelp({
      displayWidth,
      boxWrap: (text, width) =>
        text
          .split('\n')
          .flatMap((line) => wrap(line, width))
          .join('\n'),
      styleTitle: (title) => (locale === 'zh' ? (TITLES[title] ?? title) : title),
      commandDescription: (command) => inLanguage(command.description(), locale),
      subcommandDescription: (command) => inLanguage(command.description(), locale),
      argumentDescription: (argument) => inLanguage(argument.description, locale),
      optionDescription: (option) => `${inLanguage(option.description, locale)}${defaultOf(option, words)}`,
    })
    .configureOutput({
      writeOut: (text) => process.stdout.write(inLanguage(text, locale)),
      writeErr: (text) => process.stderr.write(inLanguage(text, locale)),
    })
    .description(said('私域：企业微信里的客户数据与营销自动化', 'private-domain marketing for WeCom'))
    .version(versionOf(), '-V, --version', said('版本', 'version'))
    .helpOption('-h, --help', said('显示用法', 'how to use it'))
    .helpCommand('help [command]', said('显示一个命令的用法', 'how to use a command'))
    .addHelpText('after', stepsIn(words))
  for (const register of COMMANDS) register(program, context)
  program.hook('preAction', (_program, action) => {
    context.command = nameOf(action)
    context.options = action.opts()
  })
  return program
}

/** Says what it refuses in one language, and how its help is asked for. */
class SpeakingCommand extends Command {
  constructor(
    private readonly locale: 'zh' | 'en',
    name?: string,
  ) {
    super(name)
  }

  override createCommand(name?: string): Command {
    return new SpeakingCommand(this.locale, name)
  }

  override error(message: string, options?: ErrorOptions): never {
    const name = this.parent ? `${nameOf(this)} ` : ''
    const help = bilingual(this.locale)(`用法：siyu ${name}--help`, `how to use it: siyu ${name}--help`)
    return super.error(`${usageError(message, this.locale)}\n${help}`, options)
  }
}

const TITLES: Readonly<Record<string, string>> = {
  'Usage:': '用法：',
  'Arguments:': '参数：',
  'Options:': '选项：',
  'Commands:': '命令：',
}

function defaultOf({ defaultValue, defaultValueDescription, negate }: Option, words: Words): string {
  const isTold = typeof defaultValue === 'string' || typeof defaultValue === 'number' || Array.isArray(defaultValue)
  const told = defaultValueDescription ?? (isTold ? String(defaultValue) : '')
  return told === '' || negate ? '' : words(`（默认 ${told}）`, ` (default: ${told})`)
}

function stepsIn(words: Words): string {
  const lines = (...commands: [command: string, zh: string, en: string][]) =>
    commands.map(([command, zh, en]) => `  $ ${command.padEnd(STEP_CHARS)}  ${words(zh, en)}`)
  return [
    '',
    words('第一次用：', 'First steps:'),
    ...lines(
      ['siyu try', '在本地企业微信里试自己的旅程', 'tries your journey in a local WeCom'],
      ['siyu init my-brand', '在新目录里建一个品牌', 'begins a brand in a folder'],
      ['siyu demo', '一年真实订单走完整条路', 'a year of real orders, all the way'],
      ['siyu check', '检查你改过的文件', 'checks the files you edited'],
      ['siyu serve', '启动服务', 'starts the service'],
      ['siyu publish', '让改过的旅程生效', 'makes edited journeys live'],
    ),
    '',
    words('数据：', 'Data:'),
    ...lines(
      ['siyu import --guess orders.csv', '看懂一份 CSV，写出映射', 'writes the mapping of a CSV'],
      ['siyu import', '按映射导入', 'imports by the mappings'],
      ['siyu people', '有哪些人', 'who there is'],
      ['siyu person 13800000011', '一个人的全部', 'all that is known of one'],
      ['siyu path 42', '她是怎么走到下单的', 'how she came to her orders'],
      ['siyu segments who reachable', '人群里有谁', 'who is in a segment'],
      ['siyu why 42', '为什么收到或没收到', 'why she got it, or did not'],
    ),
    '',
    words('立刻停止一切发送：', 'Stop all sends at once:'),
    '  $ siyu send stop',
    '',
    words('服务正在运行时，命令会交给它去做。', 'While the service runs, commands have it do the work.'),
    words('每个命令的细节：siyu <命令> --help', 'Details of a command: siyu <command> --help'),
  ].join('\n')
}

const STEP_CHARS = 32

function versionOf(): string {
  const file = join(packageRoot(), 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** As it is typed: `tags list`. */
function nameOf(command: Command): string {
  const { parent } = command
  return parent?.parent ? `${nameOf(parent)} ${command.name()}` : command.name()
}
