import { systemClock } from '../src/time.js'
import type { ClockMode } from './clock.js'
import { exportLines } from './export-lines.js'
import { type Sandbox, startSandbox } from './sandbox.js'
import { defaultScenario, loadScenario } from './scenario.js'

export type SandboxCommandOptions = {
  port?: number
  seed?: number
  clock?: ClockMode
  /** YAML; default: five guides and two hundred customers. */
  scenarioFile?: string
  /** URL at which the first app receives callbacks. */
  callback?: string
  /** State file; default in memory. */
  stateFile?: string
  /** Where a stepped or fast clock starts; default now. */
  startAt?: Date
  /** One line of JSON for programs instead of lines for people. */
  json?: boolean
  write: (line: string) => void
}

/** `siyu sandbox`: starts it and says how to reach it. The caller closes it on a signal. */
export async function sandboxCommand(options: SandboxCommandOptions): Promise<Sandbox> {
  const { seed = 1, clock = 'real', startAt = systemClock.now() } = options
  const scenario =
    options.scenarioFile === undefined ? defaultScenario(seed, startAt) : await loadScenario(options.scenarioFile)
  const sandbox = await startSandbox({
    file: options.stateFile ?? ':memory:',
    seed,
    startAt,
    clock,
    scenario,
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.callback === undefined ? {} : { callbackUrl: options.callback }),
  })
  const { url, corpId, apps, contactSyncSecret, controlKey } = sandbox
  if (options.json === true) {
    const byName = Object.fromEntries(
      apps.map(({ name, kind, agentId, secret, callback }) => [name, { kind, agentId, secret, callback }]),
    )
    options.write(
      JSON.stringify({
        url,
        control: `${url}/control`,
        controlKey,
        corpId,
        apps: byName,
        contactSyncSecret,
        pay: sandbox.pay(),
        weixin: sandbox.weixin(),
      }),
    )
    return sandbox
  }
  options.write(`企业微信沙盒已启动 WeCom sandbox: ${url}`)
  options.write(`  看板 watch it: ${url}/?key=${controlKey}`)
  for (const { name, agentId, secret, callback } of apps) {
    options.write(`  应用 app ${name}，粘贴到终端 paste into a shell:`)
    for (const line of exportLines({ corpId, agentId, secret, callback, contactSyncSecret }, url)) options.write(line)
  }
  const { officialAccount, miniProgram } = sandbox.weixin()
  options.write(`  公众号 official account  appid ${officialAccount.appId}  secret ${officialAccount.secret}`)
  options.write(`  小程序 mini program      appid ${miniProgram.appId}  secret ${miniProgram.secret}`)
  options.write('  微信支付 WeChat Pay      密钥见 keys: --json 的 pay 字段 field')
  options.write(`  控制 control ${url}/control/state  (Authorization: Bearer ${controlKey})`)
  return sandbox
}
