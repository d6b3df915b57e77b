import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { elapsedMs } from '../src/time.js'
import { type DemoProcess, LIVE_DONE, type Moment, runWithKills, startDemo } from '../tests/support/demo-process.js'
import { buildOf, KeptRounds } from './kept.js'
import { load } from './machine.js'
import { type BenchContext, type Benchmark, type Scale, toCase } from './measure.js'
import { cpuMsOf } from './process.js'
import type { CaseResult, Round } from './result.js'
import { openSharedStores, type SharedStores } from './shared-stores.js'
import { root } from './stand.js'

const PLANS: Record<Scale, { days: number; kills: number }> = {
  full: { days: 3, kills: 10 },
  quick: { days: 1, kills: 2 },
  tiny: { days: 1, kills: 1 },
}

/** What the demo writes with `--json`, whatever happens to it and wherever it keeps its state. Fails where one byte differs. */
export const demoBytes: Benchmark = {
  name: 'demo-bytes',
  title: { zh: '演示的数字逐字节相同', en: 'The same bytes of the demo' },
  unit: { zh: '次', en: 'demo' },
  baseline: '',
  keeps: true,
  run: runDemoBytes,
}

type Env = Readonly<Record<string, string>>
type Way = {
  name: string
  args?: readonly string[]
  env?: Env
  servers?: (stores: SharedStores) => Env
  kills?: number
}

async function runDemoBytes({ scale, dir, note, only }: BenchContext): Promise<CaseResult[]> {
  const { days, kills } = PLANS[scale]
  const kept = KeptRounds.open(dir, { scale, build: buildOf(root) })
  const two = ['--workers', '2']
  const servers = ({ mongoUrl, redisUrl }: SharedStores) => ({ MONGODB_URI: mongoUrl, REDIS_URL: redisUrl })
  const all = (stores: SharedStores) => ({ ...servers(stores), CLICKHOUSE_URL: stores.clickhouseUrl })
  const elsewhere = { TZ: 'America/New_York', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' }
  const ways: Way[] = [
    { name: 'undisturbed' },
    { name: 'another time zone, locale and language', args: ['--lang', 'zh'], env: elsewhere },
    { name: `killed ${kills} times`, kills },
    { name: 'MongoDB, Redis', servers },
    { name: 'MongoDB, Redis, two workers', servers, args: two },
    { name: 'MongoDB, Redis, ClickHouse, two workers, killed twice', servers: all, args: two, kills: 2 },
  ]
  const results: CaseResult[] = []
  for (const way of only(ways)) {
    const { name } = way
    if (kept.of(name).product.length === 0) {
      note(name)
      kept.add(name, 'product', await runOnce(way, days, dir, note))
    }
    results.push(toCase({ name, items: 1 }, kept.of(name).product, []))
  }
  return results
}

/** @throws {Error} when what it writes differs from what the first in this folder wrote */
async function runOnce(way: Way, days: number, dir: string, note: (text: string) => void): Promise<Round> {
  const { name, args = [], env, servers, kills = 0 } = way
  const [data, events, json, first] = ['data', 'events', 'out.json', 'first.json'].map((file) => join(dir, file))
  for (const old of [data, events, json]) rmSync(old!, { recursive: true, force: true })
  const stores = servers && (await openSharedStores(events!))
  try {
    const given = ['--days', String(days), '--data', data!, '--json', json!, ...args]
    const spent = { cpuMs: 0 }
    const start = () => counted(spent, startDemo(given, { ...env, ...(stores && servers?.(stores)) }))
    const [busy] = load()
    const from = elapsedMs()
    const { ended } = await runWithKills(start, momentsOf(kills))
    const wallMs = elapsedMs() - from
    if (ended.code !== 0) throw new Error(`${name}: the demo ended with ${ended.code}: ${ended.err}`)
    const bytes = readFileSync(json!)
    note(`sha256 ${createHash('sha256').update(bytes).digest('hex')}`)
    if (!existsSync(first!)) copyFileSync(json!, first!)
    if (!readFileSync(first!).equals(bytes)) throw new Error(`${name}: ${json} and ${first} differ`)
    return { wallMs, cpuMs: spent.cpuMs, figures: { bytes: bytes.length, sameAsFirst: 1, load: busy } }
  } finally {
    await stores?.stop()
  }
}

/** Spread over the run. */
function momentsOf(kills: number): Moment[] {
  return Array.from({ length: kills }, (_, i) => ({ mark: Math.floor(((i + 0.5) * LIVE_DONE) / kills), afterMs: 300 }))
}

function counted(spent: { cpuMs: number }, demo: DemoProcess): DemoProcess {
  let cpuMs = 0
  const poll = setInterval(() => (cpuMs = cpuMsOf(demo.pid)), 50)
  void demo.ended.then(() => {
    clearInterval(poll)
    spent.cpuMs += cpuMs
  })
  return demo
}
