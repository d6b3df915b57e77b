import { type Command, Option } from 'commander'
import { parseRoles, ROLES } from '../app/process-roles.js'
import type { ServeCommand } from '../app/run-service.js'
import { type CommandContext, configOption, examples, wholeNumber } from './options.js'

/** `siyu serve` */
export function registerServe(program: Command, { env, signal }: CommandContext): void {
  program
    .command('serve')
    .description('启动服务 · run the service')
    .addOption(configOption())
    .addOption(
      new Option('--role <roles>', `这个进程做什么，逗号分隔 · what this process does, with commas: ${ROLES.join(',')}`)
        .argParser(parseRoles)
        .default(ROLES, ROLES.join(',')),
    )
    .option('--port <n>', '监听端口，代替 http.port · port, instead of http.port', wholeNumber)
    .addHelpText(
      'after',
      examples(
        'siyu serve',
        'siyu serve --port 0',
        'siyu serve --role worker   # 需要 needs MONGODB_URI, CLICKHOUSE_URL, REDIS_URL',
      ),
    )
    .action(async (options: ServeCommand) => {
      const { runService } = await import('../app/run-service.js')
      await runService(options, env, signal)
    })
}
