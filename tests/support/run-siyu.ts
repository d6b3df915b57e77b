import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { giftShopFolder } from '../../demo/gift-shop.js'
import { compiled } from './compiled.js'

export type Ended = { code: number | null; out: string; err: string }

/** Starts `siyu` from its sources, with none of the caller's settings in its environment. */
export function startSiyu(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [compiled('src/main.ts'), ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs `siyu` to its end. */
export async function runSiyu(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> {
  const child = startSiyu(args, env)
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: out(), err: err() }
}

/** What a stream has said so far. */
export function textOf(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

/** A copy of the gift shop's definitions with a configuration of its own, free to be broken. */
export async function makeSite(
  more = '',
): Promise<{ dir: string; config: string; dataDir: string; path: (name: string) => string }> {
  const dir = await mkdtemp(join(tmpdir(), 'siyu-site-'))
  await cp(giftShopFolder(), dir, { recursive: true })
  const path = (name: string) => join(dir, name)
  const lines = ['tags', 'identity', 'lifecycle', 'policy', 'content', 'events', 'segments', 'coupons'].map(
    (name) => `  ${name}: ${path(`config/${name}${['tags', 'content'].includes(name) ? '' : '.yaml'}`)}`,
  )
  const config = path('service.yaml')
  await writeFile(
    config,
    [
      'brand: { name: 测试品牌, currency: GBP, timeZone: Europe/London, locale: en }',
      'linkBase: https://m.pinpai.cn',
      'http: { port: 0 }',
      `dataDir: ${path('data')}`,
      'paths:',
      ...lines,
      `  journeys: ${path('journeys')}`,
      more,
      '',
    ].join('\n'),
  )
  return { dir, config, dataDir: path('data'), path }
}
