import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import axios from 'axios'
import { stringify } from 'yaml'
import { intOf } from '../src/random.js'
import { elapsedMs, HOUR_MS, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { EVENTS, PRODUCTS, ruleTags } from './fixtures/rules.js'
import { cpuMsOf, spawnOwn } from './process.js'
import type { Round } from './result.js'

/**
 * `siyu serve` of this version or another in a process of its own, driven by HTTP, commands and files alone, as version 0.1
 * has them.
 */
export type Service = { child: ChildProcess; url: string; failed: () => Error | undefined }

/** Where it keeps what; by default all is embedded. */
export type Stores = { documents: object; events: object; jobs: object }
const EMBEDDED: Stores = { documents: { kind: 'sqlite' }, events: { kind: 'chdb' }, jobs: { kind: 'in-process' } }

export type Setup = {
  stores?: Stores
  /** Of the configuration: how to reach WeCom. */
  wecom?: object
  /** Sets several processes over one set of definitions apart. */
  name?: string
}

const KEY = 'bench-key-0123456789abcdef'
const headers = { Authorization: `Bearer ${KEY}` }
/** Batches that wait at most, so that what is measured is work and not a heap of it. */
export const MAX_WAITING = 40

/** Starts the version in `folder` on the definitions in `home`, and waits until it is ready. */
export async function start(folder: string, home: string, setup: Setup = {}): Promise<Service> {
  const { stores = EMBEDDED, wecom, name = 'data' } = setup
  const port = await freePort()
  const config = join(home, `${name}.yaml`)
  const shop = shopOf(folder)
  writeFileSync(
    config,
    stringify({
      brand: { name: '示例' },
      http: { host: '127.0.0.1', port, apiKeys: [KEY] },
      dataDir: join(home, name),
      ...stores,
      ...(wecom && { wecom }),
      sending: { mode: 'live', allowList: [] },
      paths: {
        tags: join(home, 'tags'),
        journeys: join(home, 'journeys'),
        identity: join(shop, 'config/identity.yaml'),
        lifecycle: join(home, 'lifecycle.yaml'),
        policy: join(home, 'policy.yaml'),
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
  const child = spawnOwn([join(folder, 'dist/src/main.js'), 'serve', '--config', config], ['ignore', 'ignore', 'pipe'])
  let said = ''
  child.stderr!.on('data', (text: Buffer) => {
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

export async function stop({ child }: Pick<Service, 'child'>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
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

/** Nothing is put off: no quiet hours, no caps. */
const POLICY = {
  quietHours: { from: '00:00', to: '00:00' },
  wecomQuota: { mode: 'month_days' },
  confirmWithin: '3d',
}

/** Definitions as every version reads them. */
export function writeDefinitions(
  folder: string,
  home: string,
  { rules, journeys = [] }: { rules: number; journeys?: readonly { id: string }[] },
): void {
  const write = (file: string, what: object) => writeFileSync(join(home, file), stringify(what))
  for (const name of ['tags', 'journeys', 'content', 'wecom']) mkdirSync(join(home, name), { recursive: true })
  write('tags/bench.yaml', { tags: ruleTags(rules) })
  write('segments.yaml', {
    segments: [{ id: 'everybody', name: 'everybody', purpose: 'benchmark', when: { identifier: 'member_id' } }],
  })
  write('policy.yaml', POLICY)
  write('content/bench.yaml', { contents: [{ id: 'hello', text: '您好' }] })
  cpSync(join(shopOf(folder), 'config/lifecycle.yaml'), join(home, 'lifecycle.yaml'))
  for (const journey of journeys) write(`journeys/${journey.id}.yaml`, journey)
}

/** People, taken in by the service itself. */
export async function addPeople(service: Service, people: number): Promise<void> {
  const size = 1_000
  for (let first = 0; first < people; first += size) {
    const records = Array.from({ length: Math.min(size, people - first) }, (_, i) => person(first + i))
    await post(service, `people-${first}`, records)
    await hold(service, MAX_WAITING)
  }
  await hold(service, 0)
}

/** What takes long to make is made once: a folder that is there is complete. */
export async function madeOnce(home: string, make: (part: string) => Promise<void>): Promise<void> {
  if (existsSync(home)) return
  const part = `${home}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { recursive: true })
  await make(part)
  renameSync(part, home)
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
  await axios.post(`${url}/v1/records`, { key, records }, { headers, timeout: MINUTE_MS, maxBodyLength: Infinity })
}

/** An operation that may take long. @throws {Error} with what it says when it fails */
export async function operate({ url }: Service, name: string): Promise<void> {
  const { data } = await axios.post<string>(
    `${url}/v1/${name}`,
    {},
    { headers, timeout: HOUR_MS, responseType: 'text' },
  )
  if (data.includes('"error"')) throw new Error(`${name}: ${data.trim().split('\n').at(-1)}`)
}

/** One of the figures of `/metrics`, as it stands there with its labels. @throws {Error} when the service does not say, or has ended */
export async function figure(service: Service, name: string): Promise<number> {
  const failure = service.failed()
  if (failure !== undefined) throw failure
  const { data } = await axios.get<string>(`${service.url}/metrics`, { headers, timeout: MINUTE_MS })
  const line = data.split('\n').find((text) => text.startsWith(`${name} `))
  if (line === undefined) throw new Error(`the service does not say ${name}`)
  return Number(line.slice(name.length))
}

/** Waits until no more than so many batches wait. */
export async function hold(service: Service, most: number): Promise<void> {
  while ((await figure(service, 'siyu_inbox_batches')) > most) await sleep(most === 0 ? 20 : 50)
}

export type Load = {
  /** Sets what is sent apart from what other rounds have sent. */
  name: string
  people: number
  events: number
  size: 'one' | 'many'
  senders: number
}

/** Sends so many events, to these services in turn, and waits until they are worked off. */
export async function fire(services: readonly Service[], load: Load): Promise<void> {
  const { name, people, events, size, senders } = load
  let next = 1
  const sender = async (_: unknown, i: number) => {
    const service = services[i % services.length]!
    while (next <= events) {
      const first = next
      const count = size === 'one' ? 1 : sizeOfBatch(first, events)
      next += count
      await post(
        service,
        `${name}-${first}`,
        Array.from({ length: count }, (_, i) => eventRecord(name, first + i, people)),
      )
      if (size === 'many' || first % 500 === 0) await hold(service, size === 'many' ? MAX_WAITING : 20 * MAX_WAITING)
    }
  }
  await Promise.all(Array.from({ length: senders }, sender))
  await hold(services[0]!, 0)
}

/** Of 100 to 1,000, but no more than there are. */
export function sizeOfBatch(first: number, all: number): number {
  return Math.min(all - first + 1, 100 + intOf(901, 'bench size', first))
}

/** What the service's process needs for something. */
export async function measured({ child }: Service, act: () => Promise<unknown>): Promise<Round> {
  const before = cpuMsOf(child.pid)
  const from = elapsedMs()
  await act()
  const wallMs = elapsedMs() - from
  const cpuMs = cpuMsOf(child.pid) - before
  const rss = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
  return { wallMs, cpuMs, ...(rss === undefined ? {} : { peakRssMiB: Math.round(Number(rss) / 1_024) }) }
}
