import { Command } from 'commander'
import { registerAudit } from './audit.js'
import { registerCheck } from './check.js'
import { registerDemo } from './demo.js'
import { registerDoctor } from './doctor.js'
import { registerImport } from './import.js'
import { registerJourneys } from './journeys.js'
import type { CommandContext, RegisterCommand } from './options.js'
import { registerPublish } from './publish.js'
import { registerSandbox } from './sandbox.js'
import { registerSchemas } from './schemas.js'
import { registerSegments } from './segments.js'
import { registerSend } from './send.js'
import { registerServe } from './serve.js'
import { registerTags } from './tags.js'
import { registerWecom } from './wecom.js'
import { registerWhy } from './why.js'

/** In the order in which help shows them. */
const COMMANDS: readonly RegisterCommand[] = [
  registerDemo,
  registerServe,
  registerCheck,
  registerDoctor,
  registerPublish,
  registerImport,
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
    .showHelpAfterError('（siyu --help 查看用法 · shows how to use it）')
    .addHelpText(
      'after',
      `
第一次用 First steps:
  $ siyu demo                                   一年真实订单走完整条路，什么都不用装 a year of real orders, nothing to install
  $ siyu check                                  检查你改过的文件 checks the files you edited
  $ siyu serve                                  启动服务 starts the service
  $ siyu publish                                让改过的旅程生效 makes edited journeys live

数据 Data:
  $ siyu import config/sources/members.yaml     导入一份 CSV imports a CSV file
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

/** As it is typed: `tags list`. */
function nameOf(command: Command): string {
  const { parent } = command
  return parent?.parent ? `${nameOf(parent)} ${command.name()}` : command.name()
}
