import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import axios from 'axios'
import { stringify } from 'yaml'
import { ConfigError } from '../src/errors.js'
import { intOf } from '../src/random.js'
import { elapsedMs, HOUR_MS, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { EVENTS, PRODUCTS, ruleTags } from './fixtures/rules.js'
import { type BenchContext, type Benchmark, type Scale, toCase } from './measure.js'
import type { CaseResult, Round } from './result.js'
import { cpuMsOf } from './process.js'
import { root } from './stand.js'

type Plan = { people: number; seconds: number; rounds: number; demoDays: number }
const PLANS: Record<Scale, Plan> = {
  full: { people: 200_000, seconds: 60, rounds: 5, demoDays: 90 },
  quick: { people: 5_000, seconds: 10, rounds: 1, demoDays: 1 },
  tiny: { people: 100, seconds: 1, rounds: 1, demoDays: 1 },
}

export const KEY = 'bench-key-0123456789abcdef'
const RULES = 100
/** Batches that wait at most, so that what is measured is work and not a heap of it. */
const MAX_WAITING = 40

/**
 * This version of the program beside another, both driven by HTTP, commands and files alone: two processes, in turn, each on
 * a copy of stores that its own version has filled. CPU is that of the service's process.
 */
export const versions: Benchmark = {
  name: 'versions',
  title: { zh: '两个版本对比', en: 'Two versions' },
  unit: { zh: '个', en: 'item' },
  baseline: 'the version in the folder of --against, driven in the same way',
  run: runVersions,
}

async function runVersions({ scale, dir, note, against }: BenchContext): Promise<CaseResult[]> {
  if (against === undefined)
    throw new ConfigError('versions compares with another version', [
      { path: '--against', message: 'is missing', hint: 'a folder with that version, npm ci and npm run build done' },
    ])
  const plan = PLANS[scale]
  const sides = { product: root, baseline: resolve(against) }
  for (const [side, folder] of Object.entries(sides)) await fill(folder, join(dir, side), plan, note)

  const cases: CaseResult[] = []
  const measure = async (name: string, items: number, act: (service: Service, round: number) => Promise<Round>) => {
    const rounds: Record<keyof typeof sides, Round[]> = { product: [], baseline: [] }
    for (let round = 0; round < plan.rounds; round++) {
      for (const side of ['product', 'baseline'] as const) {
        note(`${name}: round ${round + 1} of ${plan.rounds}, ${side}`)
        const home = join(dir, `${side}-run`)
        cpSync(join(dir, side), home, { recursive: true })
        const service = await start(sides[side], home)
        try {
          rounds[side].push(await act(service, round))
        } finally {
          await stop(service)
          rmSync(home, { recursive: true, force: true })
        }
      }
    }
    cases.push(toCase({ name, items }, rounds.product, rounds.baseline))
  }

  const many = plan.seconds * 2_000
  await measure('batches of 100 to 1,000', many, (service, round) =>
    fire(service, plan, { round, events: many, size: 'many', senders: 4 }),
  )
  const singles = plan.seconds * 300
  await measure('one event a request, 50 at a time', singles, (service, round) =>
    fire(service, plan, { round, events: singles, size: 'one', senders: 50 }),
  )
  await measure('one event a second, minus idle', plan.seconds, (service, round) => trickle(service, plan, round))
  const demos: Record<keyof typeof sides, Round[]> = { product: [], baseline: [] }
  for (let round = 0; round < Math.min(3, plan.rounds); round++) {
    for (const side of ['product', 'baseline'] as const) {
      note(`demo of ${plan.demoDays} days: round ${round + 1}, ${side}`)
      demos[side].push(await runDemo(sides[side], join(dir, 'demo'), plan.demoDays))
    }
  }
  cases.push(toCase({ name: `demo --days ${plan.demoDays}`, items: 1 }, demos.product, demos.baseline))
  return cases
}

export type Service = { child: ChildProcess; url: string; failed: () => Error | undefined }

export async function start(folder: string, home: string): Promise<Service> {
  const port = await freePort()
  const config = join(home, 'service.yaml')
  const its = (path: string) => join(folder, path)
  const shop = shopOf(folder)
  writeFileSync(
    config,
    stringify({
      brand: { name: '示例' },
      http: { host: '127.0.0.1', port, apiKeys: [KEY] },
      dataDir: join(home, 'data'),
      documents: { kind: 'sqlite' },
      events: { kind: 'chdb' },
      jobs: { kind: 'in-process' },
      paths: {
        tags: join(home, 'tags'),
        journeys: join(home, 'journeys'),
        identity: join(shop, 'config/identity.yaml'),
        lifecycle: join(home, 'lifecycle.yaml'),
        policy: its('config/policy.yaml'), // the shop's names journeys
        content: join(home, 'content'),
        events: join(shop, 'config/events.yaml'),
        segments: join(home, 'segments.yaml'),
        coupons: join(shop, 'config/coupons.yaml'),
        wecom: join(home, 'wecom'),
        welcome: join(home, 'welcome.yaml'),
      },
    }),
  )
  let ended: Error | undefined
  const child = spawn(process.execPath, [its('dist/src/main.js'), 'serve', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-2_000)
  })
  child.once('exit', (code) => {
    ended = new Error(`the service of ${folder} ended with ${code}: ${said}`)
  })
  const service = { child, url: `http://127.0.0.1:${port}`, failed: () => ended }
  const deadline = elapsedMs() + 2 * MINUTE_MS
  for (;;) {
    const { status } = await axios
      .get(`${service.url}/readyz`, { validateStatus: () => true, timeout: SECOND_MS })
      .catch(() => ({ status: 0 })) // not there yet
    if (status === 200) return service
    if (ended !== undefined) throw ended
    if (elapsedMs() > deadline) throw new Error(`the service of ${folder} does not become ready`)
    await sleep(100)
  }
}

export async function stop({ child }: Service): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}

/** The folder of a version that holds the gift shop's `config/`: before there were examples, the root. */
function shopOf(folder: string): string {
  const shop = join(folder, 'examples/gift-shop')
  return existsSync(shop) ? shop : folder
}

/** Definitions and people, taken in by the version itself. */
export async function fill(
  folder: string,
  home: string,
  { people }: Pick<Plan, 'people'>,
  note: (text: string) => void,
  journeys: readonly { id: string }[] = [],
): Promise<void> {
  for (const name of ['tags', 'journeys', 'content', 'wecom']) mkdirSync(join(home, name), { recursive: true })
  writeFileSync(join(home, 'tags/bench.yaml'), stringify({ tags: ruleTags(RULES) }))
  const everybody = { id: 'everybody', name: 'everybody', purpose: 'benchmark', when: { identifier: 'member_id' } }
  writeFileSync(join(home, 'segments.yaml'), stringify({ segments: [everybody] }))
  cpSync(join(shopOf(folder), 'config/lifecycle.yaml'), join(home, 'lifecycle.yaml'))
  for (const journey of journeys) writeFileSync(join(home, 'journeys', `${journey.id}.yaml`), stringify(journey))
  const service = await start(folder, home)
  try {
    note(`${people} people: ${folder}`)
    const size = 1_000
    for (let first = 0; first < people; first += size) {
      const records = Array.from({ length: Math.min(size, people - first) }, (_, i) => person(first + i))
      await post(service, `people-${first}`, records)
      await hold(service, MAX_WAITING)
    }
    await hold(service, 0)
  } finally {
    await stop(service)
  }
}

function person(n: number): Record<string, unknown> {
  return {
    ref: `people:${n}`,
    source: 'bench',
    observedAt: systemClock.now().toISOString(),
    identifiers: [
      { type: 'member_id', value: `m${n}` },
      { type: 'unionid', value: `u${n}` },
    ],
    traits: { city: `city-${intOf(40, 'bench city', n)}` },
  }
}

/** One event a record; one in twenty is about somebody new. */
export function eventRecord(name: string, n: number, people: number): Record<string, unknown> {
  const isNew = n % 20 === 0
  const about = isNew ? person(people + n) : person(intOf(people, 'bench who', n))
  const event = EVENTS[intOf(EVENTS.length, 'bench name', n)]!
  const at = systemClock.now().getTime() - intOf(HOUR_MS, 'bench when', n)
  return {
    ...about,
    ref: `${name}:${n}`,
    ...(isNew ? {} : { identifiers: [(about['identifiers'] as object[])[0]], traits: {} }),
    events: [
      {
        id: `${name}:${n}`,
        name: event,
        occurredAt: new Date(at).toISOString(),
        ...(event === 'order_paid' && { amountMinor: 500 + intOf(60_000, 'bench amount', n) }),
        properties: { productId: `p${intOf(PRODUCTS, 'bench product', n)}` },
      },
    ],
  }
}

export async function post({ url }: Service, key: string, records: readonly object[]): Promise<void> {
  const headers = { Authorization: `Bearer ${KEY}` }
  await axios.post(`${url}/v1/records`, { key, records }, { headers, timeout: MINUTE_MS, maxBodyLength: Infinity })
}

/** Waits until no more than so many batches wait. */
export async function hold(service: Service, most: number): Promise<void> {
  for (;;) {
    const failure = service.failed()
    if (failure !== undefined) throw failure
    const { data } = await axios.get<string>(`${service.url}/metrics`, {
      headers: { Authorization: `Bearer ${KEY}` },
      timeout: MINUTE_MS,
    })
    const waiting = Number(/^siyu_inbox_batches (\d+)/m.exec(data)?.[1] ?? NaN)
    if (Number.isNaN(waiting)) throw new Error('the service does not say how many batches wait')
    if (waiting <= most) return
    await sleep(most === 0 ? 20 : 50)
  }
}

type Load = { round: number; events: number; size: 'one' | 'many'; senders: number }

async function fire(service: Service, { people }: Plan, { round, events, size, senders }: Load): Promise<Round> {
  const name = `e${round}`
  let next = 1
  const sender = async () => {
    while (next <= events) {
      const first = next
      const count = size === 'one' ? 1 : Math.min(events - first + 1, 100 + intOf(901, 'bench size', first))
      next += count
      await post(
        service,
        `${name}-${first}`,
        Array.from({ length: count }, (_, i) => eventRecord(name, first + i, people)),
      )
      if (size === 'many' || first % 500 === 0) await hold(service, size === 'many' ? MAX_WAITING : 20 * MAX_WAITING)
    }
  }
  return measured(service, async () => {
    await Promise.all(Array.from({ length: senders }, sender))
    await hold(service, 0)
  })
}

/** A minute without anything, then one event a second; the difference counts. */
async function trickle(service: Service, { people, seconds }: Plan, round: number): Promise<Round> {
  const idle = await measured(service, () => sleep(seconds * SECOND_MS))
  const busy = await measured(service, async () => {
    for (let n = 1; n <= seconds; n++) {
      const from = elapsedMs()
      await post(service, `t${round}-${n}`, [eventRecord(`t${round}`, n, people)])
      await sleep(Math.max(0, SECOND_MS - (elapsedMs() - from)))
    }
  })
  const figures = { idleCpuMs: idle.cpuMs }
  return { ...busy, cpuMs: Math.max(0, busy.cpuMs - idle.cpuMs), figures }
}

async function measured({ child }: Service, act: () => Promise<unknown>): Promise<Round> {
  const before = cpuMsOf(child.pid)
  const from = elapsedMs()
  await act()
  const wallMs = elapsedMs() - from
  const cpuMs = cpuMsOf(child.pid) - before
  const rss = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
  return { wallMs, cpuMs, ...(rss === undefined ? {} : { peakRssMiB: Math.round(Number(rss) / 1_024) }) }
}

async function runDemo(folder: string, home: string, days: number): Promise<Round> {
  rmSync(home, { recursive: true, force: true })
  const from = elapsedMs()
  const args = [
    join(folder, 'dist/src/main.js'),
    'demo',
    '--days',
    String(days),
    '--data',
    home,
    '--json',
    `${home}.json`,
  ]
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  let cpuMs = 0
  const poll = setInterval(() => {
    if (child.exitCode === null) cpuMs = cpuMsOf(child.pid)
  }, 50)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearInterval(poll)
  rmSync(home, { recursive: true, force: true })
  if (code !== 0) throw new Error(`the demo of ${folder} ended with ${code}`)
  return { wallMs: elapsedMs() - from, cpuMs }
}
