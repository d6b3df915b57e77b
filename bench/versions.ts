import { once } from 'node:events'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'libsql'
import { ConfigError } from '../src/errors.js'
import { elapsedMs, MINUTE_MS, SECOND_MS } from '../src/time.js'
import { addContacts, helloJourney, openCompany, runJourneys } from './company.js'
import { buildOf, KeptRounds, type SideName } from './kept.js'
import { load } from './machine.js'
import { type BenchContext, type Benchmark, quantilesOf, type Scale, toCase } from './measure.js'
import { cpuMsOf, rssMiBOf, spawnOwn } from './process.js'
import type { CaseResult, Round } from './result.js'
import {
  addPeople,
  eventRecord,
  fire,
  madeOnce,
  measured,
  post,
  type Service,
  start,
  stop,
  writeDefinitions,
} from './service.js'
import { root } from './stand.js'

type Plan = {
  people: number
  rules: number
  seconds: number
  runs: number
  rounds: number
  demoDays: number
  /** From a service that is ready until what its start has brought is over. */
  settleSeconds: number
  /** Events sent one a second before any are counted, so that a process is measured that has seen one. */
  warmups: number
}
const PLANS: Record<Scale, Plan> = {
  full: {
    people: 200_000,
    rules: 100,
    seconds: 60,
    runs: 10_000,
    rounds: 5,
    demoDays: 90,
    settleSeconds: 60,
    warmups: 10,
  },
  quick: { people: 5_000, rules: 100, seconds: 10, runs: 1_000, rounds: 1, demoDays: 1, settleSeconds: 20, warmups: 5 },
  tiny: { people: 100, rules: 10, seconds: 1, runs: 20, rounds: 1, demoDays: 1, settleSeconds: 1, warmups: 1 },
}
/** Of journeys, so that what is measured is them and not rules. */
const JOURNEY_RULES = 10
const POLL_MS = 10

/**
 * This version of the program beside another, both driven by HTTP, commands and files alone: two processes, in turn, each on
 * a copy of stores that its own version has filled. CPU is that of the service's process.
 */
export const versions: Benchmark = {
  name: 'versions',
  title: { zh: '两个版本对比', en: 'Two versions' },
  unit: { zh: '个', en: 'item' },
  baseline: 'the version in the folder of --against, driven in the same way',
  keeps: true,
  run: runVersions,
}

/** One of the things that both versions do; `act` makes one round of it. */
type Doing = { name: string; items: number; act: (side: SideName, round: number) => Promise<Round> }

async function runVersions(context: BenchContext): Promise<CaseResult[]> {
  const { scale, dir, note, against } = context
  if (against === undefined)
    throw new ConfigError('versions compares with another version', [
      { path: '--against', message: 'is missing', hint: 'a folder with that version, npm ci and npm run build done' },
    ])
  const sides = { product: root, baseline: resolve(against) }
  for (const [side, folder] of Object.entries(sides))
    if (!existsSync(join(folder, 'dist/src/main.js')))
      throw new ConfigError('both versions must be built', [
        {
          path: side === 'baseline' ? '--against' : folder,
          message: 'holds no dist/src/main.js',
          hint: 'npm ci && npm run build there',
        },
      ])
  const plan = { ...PLANS[scale], ...(context.rounds !== undefined && { rounds: context.rounds }) }
  const kept = KeptRounds.open(dir, {
    scale,
    product: buildOf(sides.product),
    baseline: buildOf(sides.baseline),
  })
  const cases = context.only(doings(sides, plan, context))
  const results: CaseResult[] = []
  for (const { name, items, act } of cases) {
    for (let round = 0; round < plan.rounds; round++) {
      for (const side of ['product', 'baseline'] as const) {
        if (kept.of(name)[side][round] !== undefined) continue
        note(`${name}: round ${round + 1} of ${plan.rounds}, ${side}`)
        const [busy] = load()
        const { figures, ...costs } = await act(side, round)
        kept.add(name, side, { ...costs, figures: { ...figures, load: busy } })
      }
    }
    const { product, baseline } = kept.of(name)
    results.push(toCase({ name, items }, product.slice(0, plan.rounds), baseline.slice(0, plan.rounds)))
  }
  return results
}

function doings(sides: Record<SideName, string>, plan: Plan, { dir, note }: BenchContext): Doing[] {
  const { people, rules, seconds, runs } = plan
  /** On a copy of stores that hold these people. */
  const among = async (side: SideName, act: (service: Service, home: string) => Promise<Round>) => {
    const folder = sides[side]
    const filled = join(dir, side)
    await madeOnce(filled, async (part) => {
      note(`${people} people: ${folder}`)
      writeDefinitions(folder, part, { rules })
      const service = await start(folder, part)
      await addPeople(service, people).finally(() => stop(service))
    })
    return onCopyOf(filled, async (home) => {
      const service = await start(folder, home)
      return act(service, home).finally(() => stop(service))
    })
  }
  const fired = (name: string, events: number, size: 'many' | 'one', senders: number): Doing => ({
    name,
    items: events,
    act: (side, round) =>
      among(side, (service) =>
        measured(service, () => fire([service], { name: `e${round}`, people, events, size, senders })),
      ),
  })
  return [
    fired('batches of 100 to 1,000', seconds * 2_000, 'many', 4),
    fired('one event a request, 50 at a time', seconds * 300, 'one', 50),
    {
      name: 'one event a second, minus idle',
      items: seconds,
      act: (side, round) => among(side, (service, home) => trickle(service, home, plan, round)),
    },
    {
      name: 'journeys: entry, wait, branch, touch, dispatch',
      items: runs,
      act: async (side) => {
        const folder = sides[side]
        const filled = join(dir, `${side}-journeys`)
        await madeOnce(filled, async (part) => {
          note(`${runs} customers: ${folder}`)
          writeDefinitions(folder, part, { rules: JOURNEY_RULES, journeys: [helloJourney] })
          const company = await openCompany(part, runs)
          const service = await start(folder, part, company)
          await addContacts(service).finally(() => stop(service))
          await stop(company)
        })
        return onCopyOf(filled, async (home) => {
          const company = await openCompany(home, runs)
          try {
            const service = await start(folder, home, company)
            return await measured(service, () => runJourneys([service], runs)).finally(() => stop(service))
          } finally {
            await stop(company)
          }
        })
      },
    },
    {
      name: `demo --days ${plan.demoDays}`,
      items: 1,
      act: (side) => runDemo(sides[side], join(dir, 'demo'), plan.demoDays),
    },
  ]
}

async function onCopyOf<T>(filled: string, act: (home: string) => Promise<T>): Promise<T> {
  const home = `${filled}-run`
  rmSync(home, { recursive: true, force: true })
  cpSync(filled, home, { recursive: true })
  try {
    return await act(home)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/**
 * When the start is over and a few events have gone through: a time without anything, then one event a second for as long;
 * the difference counts.
 */
async function trickle(service: Service, home: string, plan: Plan, round: number): Promise<Round> {
  const { people, seconds, settleSeconds, warmups } = plan
  const db = new Database(join(home, 'data/documents.sqlite'), { readonly: true })
  // A batch is called by its sender's key, in 0.1 as it is.
  const isDone = db.prepare(`SELECT 1 FROM "c:batches" WHERE k IN (?, ?) AND doc ->> '$.state' = 'done'`)
  const latencies: number[] = []
  const send = async (first: number, count: number) => {
    for (let n = first; n < first + count; n++) {
      const from = elapsedMs()
      const key = `t${round}-${n}`
      await post(service, key, [eventRecord(`t${round}`, n, people)])
      while (isDone.get(key, `key:${key}`) === undefined) {
        if (elapsedMs() - from > MINUTE_MS) throw new Error(`batch ${key} is not worked off within a minute`)
        await sleep(POLL_MS)
      }
      latencies.push(elapsedMs() - from)
      await sleep(Math.max(0, SECOND_MS - (elapsedMs() - from)))
    }
  }
  try {
    await send(1, warmups)
    await sleep(settleSeconds * SECOND_MS)
    const idle = await measured(service, () => sleep(seconds * SECOND_MS))
    const idleRssMiB = rssMiBOf(service.child.pid)
    latencies.length = 0
    const busy = await measured(service, () => send(1 + warmups, seconds))
    const at = quantilesOf(latencies)
    return {
      ...busy,
      cpuMs: Math.max(0, busy.cpuMs - idle.cpuMs),
      figures: { idleCpuRatio: idle.cpuMs / idle.wallMs, idleRssMiB, visibleP50Ms: at(0.5), visibleP99Ms: at(0.99) },
    }
  } finally {
    db.close()
  }
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
  const child = spawnOwn(args, 'ignore')
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
