import { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.js'
import { registerAudit } from './audit.js'
import { registerCheck } from './check.js'
import { registerDemo } from './demo.js'
import { registerDoctor } from './doctor.js'
import { registerImport } from './import.js'
import { registerInit } from './init.js'
import { registerIngest } from './ingest.js'
import { registerJourneys } from './journeys.js'
import type { CommandContext, RegisterCommand } from './options.js'
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
  registerIngest,
  registerTags,
  registerSegments,
  registerJourneys,
  registerWecom,
  registerSend,
  registerWhy,
  registerAudit,
  registerSandbox,
  registerSchemas,
]

/** The command line. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('siyu')
    .description('私域：企业微信里的客户数据与营销自动化 · private-domain marketing for WeCom')
    .version(versionOf(), '-V, --version', '版本 · version')
    .showHelpAfterError('（siyu --help 查看用法 · shows how to use it）')
    .addHelpText(
      'after',
      `
第一次用 First steps:
  $ siyu try                                    在本地企业微信里试自己的旅程 tries your journey in a local WeCom
  $ siyu init my-brand                          在新目录里建一个品牌 begins a brand in a folder of its own
  $ siyu demo                                   一年真实订单走完整条路 a year of real orders through all of it
  $ siyu check                                  检查你改过的文件 checks the files you edited
  $ siyu serve                                  启动服务 starts the service
  $ siyu publish                                让改过的旅程生效 makes edited journeys live

数据 Data:
  $ siyu import --guess orders.csv              看懂一份 CSV，写出映射 reads a CSV file and writes its mapping
  $ siyu import config/sources/orders.yaml      按映射导入 imports it
  $ siyu people                                 有哪些人 who there is
  $ siyu tags explain rfm_class --member 13085  为什么是这个标签值 why a tag has its value
  $ siyu segments who reachable                 人群里有谁，现在或过去某一刻 who is in a segment, now or as of an instant
  $ siyu why 42                                 为什么收到或没收到 why somebody got something, or did not

停发 Stop all sends at once:
  $ siyu send stop

服务正在运行时，命令会交给它去做。 While the service runs, commands have it do the work.
每个命令的细节 Details of a command: siyu <命令 command> --help`,
    )
  const shared = { ...context }
  for (const register of COMMANDS) register(program, shared)
  program.hook('preAction', (_program, action) => {
    shared.command = nameOf(action)
  })
  return program
}

function versionOf(): string {
  const file = join(packageRoot(), 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** As it is typed: `tags list`. */
function nameOf(command: Command): string {
  const { parent } = command
  return parent?.parent ? `${nameOf(parent)} ${command.name()}` : command.name()
}
