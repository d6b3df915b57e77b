import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { z } from 'zod'
import { Population } from '../sandbox/population.js'
import { People } from '../sandbox/world/people.js'
import { parseInput } from '../src/parse.js'
import { elapsedMs, MINUTE_MS, systemClock } from '../src/time.js'
import { figure, hold, operate, post, type Service, sizeOfBatch, MAX_WAITING } from './service.js'
import { spawnOwn } from './process.js'
import { root } from './stand.js'

/** Who has these customers, and how she is reached: `siyu sandbox` of this version, in a process of its own. */
export type Company = {
  child: ChildProcess
  /** For the configuration of a service. */
  wecom: object
}

const SEED = 1
/** As many customers as are asked for, each with one guide, who confirms nothing; nobody does anything of himself. */
const populationOf = (customers: number): z.input<typeof Population> => ({
  members: 20,
  memberKinds: [{ share: 1, confirmAtOnce: 0, confirmLate: 0, never: 1 }],
  ownSendsPerMonth: 0,
  customers,
  followersPerCustomer: [1],
  unionIdRatio: 0,
  groups: { perMember: 0, customerRatio: 0 },
  perYear: { orders: 0, edits: 0, groupJoins: 0, groupLeaves: 0, adds: 0, deletes: 0, deletedByMember: 0 },
})

const Said = z.looseObject({
  url: z.string(),
  corpId: z.string(),
  apps: z.record(z.string(), z.looseObject({ kind: z.string(), agentId: z.number(), secret: z.string() })),
})

/** @param dir - for the scenario's file */
export async function openCompany(dir: string, customers: number): Promise<Company> {
  const scenario = join(dir, 'company.yaml')
  writeFileSync(scenario, stringify({ population: populationOf(customers) }))
  const args = [join(root, 'dist/src/main.js'), 'sandbox', '--json', '--seed', String(SEED), '--scenario', scenario]
  const child = spawnOwn(args, ['ignore', 'pipe', 'inherit'])
  const line = await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line').then(([text]) => text as string),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the sandbox ended with ${code}`))),
  ])
  const { url, corpId, apps } = parseInput(Said, JSON.parse(line), 'what the sandbox says of itself')
  const app = Object.values(apps).find(({ kind }) => kind === 'self_built') ?? Object.values(apps)[0]!
  return {
    child,
    wecom: { baseUrl: url, corpId, agentId: app.agentId, secret: app.secret, reconcileAt: 'off', statisticsAt: 'off' },
  }
}

/** Everybody is somebody's contact, as the service itself finds out. */
export async function addContacts(service: Service): Promise<void> {
  await operate(service, 'wecom/sync')
  await hold(service, 0)
}

const JOURNEY = 'bench-hello'

/** Entry by an event, a wait, a branch by a tag, a message. */
export const helloJourney = {
  id: JOURNEY,
  name: 'hello',
  purpose: 'benchmark',
  enter: { on: 'registered' },
  goal: { event: 'order_paid', within: '30d' },
  steps: [
    { wait: '5s' },
    {
      branch: [
        { if: { tag: 'bench_2' }, do: [{ id: 'first', send: { channel: 'wecom', content: 'hello' } }] },
        { else: [{ id: 'second', send: { channel: 'wecom', content: 'hello' } }] },
      ],
    },
  ],
}

/** Every customer enters, and all of them have been written to. */
export async function runJourneys(services: readonly Service[], customers: number): Promise<void> {
  const hours = { from: '08:00', to: '22:00', timeZone: 'Asia/Shanghai' }
  const who = new People(SEED, parseInput(Population, populationOf(customers)), systemClock.now(), [], hours)
  let next = 1
  for (let turn = 0; next <= customers; turn++) {
    const first = next
    const count = sizeOfBatch(first, customers)
    next += count
    const at = systemClock.now().toISOString()
    const service = services[turn % services.length]!
    await post(
      service,
      `journeys-${first}`,
      Array.from({ length: count }, (_, i) => ({
        ref: `journeys:${first + i}`,
        source: 'bench',
        observedAt: at,
        identifiers: [{ type: 'external_userid', value: who.externalUserId(first + i - 1) }],
        events: [{ id: `journeys:${first + i}`, name: 'registered', occurredAt: at, properties: {} }],
      })),
    )
    await hold(service, MAX_WAITING)
  }
  const deadline = elapsedMs() + 20 * MINUTE_MS
  for (;;) {
    const written = await figure(services[0]!, 'siyu_touches{state="created"}')
    if (written === customers) return
    if (elapsedMs() > deadline) throw new Error(`${written} of ${customers} customers were written to`)
    await sleep(250)
  }
}
