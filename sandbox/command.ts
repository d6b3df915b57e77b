import { bilingual } from '../src/said.js'
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
  /** Of what people read; default Chinese. */
  lang?: 'zh' | 'en'
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
  const words = bilingual(options.lang ?? 'zh')
  const { officialAccount, miniProgram } = sandbox.weixin()
  for (const line of [
    `${words('企业微信沙盒已启动', 'the WeCom sandbox runs')}: ${url}`,
    `  ${words('看板', 'watch it')}: ${url}/?key=${controlKey}`,
    ...apps.flatMap(({ name, agentId, secret, callback }) => [
      `  ${words(`应用 ${name}，粘贴到终端`, `app ${name}, paste into a shell`)}:`,
      ...exportLines({ corpId, agentId, secret, callback, contactSyncSecret }, url),
    ]),
    `  ${words('公众号', 'official account')}  appid ${officialAccount.appId}  secret ${officialAccount.secret}`,
    `  ${words('小程序', 'mini program')}  appid ${miniProgram.appId}  secret ${miniProgram.secret}`,
    `  ${words('微信支付  密钥见 --json 的 pay', 'WeChat Pay  its keys are in pay of --json')}`,
    `  ${words('控制', 'control')} ${url}/control/state  (Authorization: Bearer ${controlKey})`,
  ])
    options.write(line)
  return sandbox
}
