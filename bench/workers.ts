import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { addContacts, helloJourney, openCompany, runJourneys } from './company.js'
import { buildOf, KeptRounds } from './kept.js'
import { load } from './machine.js'
import { type BenchContext, type Benchmark, type Scale, toCase } from './measure.js'
import { cpuMsOf } from './process.js'
import type { CaseResult, Round } from './result.js'
import { addPeople, fire, type Service, start, stop, type Stores, writeDefinitions } from './service.js'
import { openSharedStores, type SharedStores } from './shared-stores.js'
import { elapsedMs } from '../src/time.js'
import { root } from './stand.js'

type Plan = { people: number; rules: number; events: number; runs: number; rounds: number }
const PLANS: Record<Scale, Plan> = {
  full: { people: 5_000, rules: 100, events: 20_000, runs: 5_000, rounds: 3 },
  quick: { people: 1_000, rules: 100, events: 4_000, runs: 1_000, rounds: 1 },
  tiny: { people: 100, rules: 10, events: 200, runs: 20, rounds: 1 },
}
const SIDES = { product: 2, baseline: 1 } as const

/** Ingest and journeys on stores that several processes share, by two of them and by one. */
export const workers: Benchmark = {
  name: 'workers',
  title: { zh: '共用存储，两个进程', en: 'Shared stores, two workers' },
  unit: { zh: '个', en: 'item' },
  baseline: 'one worker on the same kind of stores',
  keeps: true,
  run: runWorkers,
}

async function runWorkers({
  scale,
  dir,
  note,
  only,
  rounds = PLANS[scale].rounds,
}: BenchContext): Promise<CaseResult[]> {
  const { people, rules, events, runs } = PLANS[scale]
  const kept = KeptRounds.open(dir, { scale, build: buildOf(root) })
  const cases = [
    {
      name: 'ingest, batches of 100 to 1,000',
      items: events,
      rules,
      fill: (service: Service) => addPeople(service, people),
      act: (services: Service[]) => fire(services, { name: 'e', people, events, size: 'many', senders: 4 }),
    },
    {
      name: 'journeys: entry, wait, branch, touch, dispatch',
      items: runs,
      rules: 10,
      fill: addContacts,
      act: (services: Service[]) => runJourneys(services, runs),
    },
  ]
  const results: CaseResult[] = []
  for (const { name, items, rules, fill, act } of only(cases)) {
    for (let round = 0; round < rounds; round++) {
      for (const side of ['product', 'baseline'] as const) {
        if (kept.of(name)[side][round] !== undefined) continue
        note(`${name}: round ${round + 1} of ${rounds}, ${SIDES[side]} ${SIDES[side] === 1 ? 'worker' : 'workers'}`)
        const home = join(dir, 'run')
        rmSync(home, { recursive: true, force: true })
        mkdirSync(home, { recursive: true })
        const [busy] = load()
        const { figures, ...costs } = await among(SIDES[side], home, { rules, customers: runs }, fill, act)
        kept.add(name, side, { ...costs, figures: { ...figures, load: busy } })
        note(JSON.stringify(kept.of(name)[side].at(-1)))
        rmSync(home, { recursive: true, force: true })
      }
    }
    const { product, baseline } = kept.of(name)
    results.push(toCase({ name, items }, product.slice(0, rounds), baseline.slice(0, rounds)))
  }
  return results
}

/** So many workers on stores of their own: filled by the first, then measured, every process by itself. */
async function among(
  count: number,
  home: string,
  { rules, customers }: { rules: number; customers: number },
  fill: (service: Service) => Promise<void>,
  act: (services: Service[]) => Promise<void>,
): Promise<Round> {
  const closers: (() => Promise<void>)[] = []
  try {
    const shared = await openSharedStores(join(home, 'events'))
    closers.push(() => shared.stop())
    const company = await openCompany(home, customers)
    closers.push(() => stop(company))
    writeDefinitions(root, home, { rules, journeys: [helloJourney] })
    const services: Service[] = []
    for (let i = 0; i < count; i++) {
      const service = await start(root, home, { ...company, stores: storesOf(shared, count), name: `worker-${i}` })
      services.push(service)
      closers.push(() => stop(service))
    }
    await fill(services[0]!)
    const cpuMs = async (): Promise<Record<string, number>> => ({
      ...Object.fromEntries(services.map(({ child }, i) => [`worker${i + 1}`, cpuMsOf(child.pid)])),
      ...(await shared.cpuMs()),
    })
    const before = await cpuMs()
    const from = elapsedMs()
    await act(services)
    const wallMs = elapsedMs() - from
    const spent = Object.entries(await cpuMs()).map(([name, ms]): [string, number] => [name, ms - before[name]!])
    const ofWorkers = spent.filter(([name]) => name.startsWith('worker'))
    return {
      wallMs,
      cpuMs: ofWorkers.reduce((sum, [, ms]) => sum + ms, 0),
      figures: Object.fromEntries(spent.map(([name, ms]) => [`${name}CpuMs`, ms])),
    }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

function storesOf({ mongoUrl, redisUrl, clickhouseUrl }: SharedStores, shards: number): Stores {
  return {
    documents: { kind: 'mongo', url: mongoUrl },
    events: { kind: 'clickhouse', url: clickhouseUrl },
    jobs: { kind: 'bull', url: redisUrl, shards },
  }
}
