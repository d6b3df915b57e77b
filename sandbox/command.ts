import { systemClock } from '../src/time.js'
import { type Sandbox, startSandbox } from './sandbox.js'
import { defaultScenario, loadScenario } from './scenario.js'

export type SandboxCommandOptions = {
  port?: number
  seed?: number
  clock?: 'step' | 'real'
  /** YAML; default: five guides and two hundred customers. */
  scenarioFile?: string
  /** URL that receives callbacks. */
  callback?: string
  /** State file; default in memory. */
  stateFile?: string
  /** Where a stepped clock starts; default now. */
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
  const { url, corpId, app, contactSyncSecret, controlKey } = sandbox
  const { name, kind, agentId, secret, callback } = app
  if (options.json === true) {
    const apps = { [name]: { kind, agentId, secret, callback } }
    options.write(JSON.stringify({ url, control: `${url}/control`, controlKey, corpId, apps, contactSyncSecret }))
    return sandbox
  }
  options.write(`企业微信沙盒已启动 WeCom sandbox: ${url}`)
  options.write(`  corpid ${corpId}  agentid ${agentId}  secret ${secret}`)
  options.write(`  回调 callback token ${callback.token}  EncodingAESKey ${callback.encodingAesKey}`)
  options.write(`  控制 control ${url}/control/state  (Authorization: Bearer ${controlKey})`)
  return sandbox
}
