import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { loadGiftShop } from '../../demo/gift-shop.js'
import { loadConfig } from '../../src/config.js'
import { cpuMsOf, rssMiBOf } from '../process.js'
import { root } from '../stand.js'

/** `siyu serve` in a process of its own, as in production. */
export interface Service {
  readonly url: string
  /** An operation of the service, by name. */
  call<T>(name: string, input?: object): Promise<T>
  /** User and system time so far, all threads; Linux only, else 0. */
  cpuMs(): number
  rssMiB(): number
  /** SIGTERM, and waits. */
  stop(): Promise<void>
  /** SIGKILL, and waits. */
  kill(): Promise<void>
}

const API_KEY = 'bench-key-0123456789'
const START_MS = 60_000

/** Configuration of a service with WeCom; `welcome` says whether new customers are greeted. */
export async function writeServiceConfig(dir: string, sandbox: Sandbox): Promise<string> {
  const { brand } = await loadConfig({ file: join(root, 'config/service.yaml'), env: {} })
  const { paths, linkBase } = await loadGiftShop({})
  const file = join(dir, 'service.yaml')
  const config = {
    brand,
    http: { apiKeys: [API_KEY] },
    dataDir: join(dir, 'data'),
    sending: { mode: 'live' },
    paths,
    linkBase,
    wecom: {
      baseUrl: sandbox.url,
      corpId: sandbox.corpId,
      agentId: sandbox.app.agentId,
      secret: sandbox.app.secret,
      callback: sandbox.app.callback,
      reconcileAt: 'off',
    },
  }
  writeFileSync(file, stringify(config))
  return file
}

export async function startService(configFile: string): Promise<Service> {
  const main = fileURLToPath(new URL(`../../src/main${extname(import.meta.url)}`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, main, 'serve', '--config', configFile, '--port', '0'], {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const url = await readUrl(child)
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  return {
    url,
    call: async <T>(name: string, input: object = {}) => {
      const response = await fetch(`${url}/v1/${name}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${API_KEY}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(input),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${name}: ${response.status} ${text}`)
      // A long one answers in lines, the last of which holds the result.
      const last = JSON.parse(text.trim().split('\n').at(-1)!) as { result?: T; error?: { message: string } }
      if (last.error !== undefined) throw new Error(`${name}: ${last.error.message}`)
      return last.result ?? (last as T)
    },
    cpuMs: () => cpuMsOf(child.pid),
    rssMiB: () => rssMiBOf(child.pid),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

async function readUrl(child: ChildProcess): Promise<string> {
  let said = ''
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise<string>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`siyu serve does not start:\n${said}`)), START_MS)
      child.stderr!.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        const url = /"fact":"service started","url":"(http:[^"]+)"/.exec(said)?.[1]
        if (url !== undefined) resolve(url)
      })
      child.once('exit', (code) => reject(new Error(`siyu serve ended with ${code}:\n${said}`)))
    })
  } finally {
    clearTimeout(timer)
  }
}
