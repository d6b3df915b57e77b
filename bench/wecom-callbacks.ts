import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { relationOf } from '../src/adapters/wecom/port/relations.js'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.js'
import { parseScenario } from '../sandbox/scenario.js'
import { openSqliteDocuments } from '../src/adapters/documents/sqlite.js'
import { createWecomClient } from '../src/adapters/wecom/client.js'
import { relationHash, relationId } from '../src/domain/wecom/relation.js'
import { quietLog } from '../src/log.js'
import { intOf } from '../src/random.js'
import { type Collections, openCollections } from '../src/stored/collections.js'
import { elapsedMs, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { Acknowledged } from './callbacks/acknowledged.js'
import { type Service, startService, writeServiceConfig } from './callbacks/service.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import { type Child, startChild } from './month/child.js'
import type { CaseResult } from './result.js'

type Plan = {
  /** Deliveries a second, and for how long. */
  perSecond: number
  seconds: number
  customers: number
  members: number
  /** New customers a second who are to be greeted, and for how long. */
  addsPerSecond: number
  addSeconds: number
  kills: number
}
/**
 * 10,000 customers, since externalcontact/get may be asked 10,000 times a minute (page 90312): each is read once or twice,
 * so that the work is done within some two minutes after a burst of one.
 */
const PLANS: Record<Scale, Plan> = {
  full: { perSecond: 2_000, seconds: 60, customers: 10_000, members: 50, addsPerSecond: 100, addSeconds: 30, kills: 5 },
  quick: { perSecond: 1_000, seconds: 10, customers: 1_000, members: 10, addsPerSecond: 50, addSeconds: 10, kills: 2 },
  tiny: { perSecond: 100, seconds: 2, customers: 100, members: 4, addsPerSecond: 10, addSeconds: 2, kills: 1 },
}
const SEED = 7
const DRAIN_MS = 10 * MINUTE_MS

/** `siyu serve` in a process of its own, the sender in another; the sandbox is in this one. */
export const wecomCallbacks: Benchmark = {
  name: 'wecom-callbacks',
  title: { zh: '企业微信回调', en: 'WeCom callbacks' },
  unit: { zh: '条回调', en: 'callback' },
  baseline: '',
  run: async ({ scale, dir, note }: BenchContext): Promise<CaseResult[]> => {
    const plan = PLANS[scale]
    return [
      await burst(plan, join(dir, 'burst'), note),
      await welcomes(plan, join(dir, 'welcomes'), note),
      await kills(plan, join(dir, 'kills'), note),
    ]
  },
}

type Stand = { dir: string; sandbox: Sandbox; configFile: string }

async function openStand(dir: string, plan: Plan): Promise<Stand> {
  await mkdir(dir)
  const quiet = { orders: 0, edits: 0, groupJoins: 0, groupLeaves: 0, adds: 0, deletes: 0, deletedByMember: 0 }
  const sandbox = await startSandbox({
    file: join(dir, 'sandbox.sqlite'),
    seed: SEED,
    startAt: systemClock.now(),
    clock: 'real',
    scenario: parseScenario({
      population: {
        members: plan.members,
        customers: plan.customers,
        perYear: quiet,
        ownSendsPerMonth: 0,
        groups: { perMember: 0, customerRatio: 0 },
      },
      corpTags: [{ name: '等级', tags: [{ tagId: 'et-important', name: '重要' }] }],
    }),
  })
  return { dir, sandbox, configFile: await writeServiceConfig(dir, sandbox) }
}

// ── Acknowledged at the full rate, worked off afterwards ────────────────────────────────────────────────────────────

async function burst(plan: Plan, dir: string, note: (text: string) => void): Promise<CaseResult> {
  const stand = await openStand(dir, plan)
  const sender = startChild('../callbacks/sender')
  const service = await startService(stand.configFile)
  const figures: Record<string, number> = {}
  const total = plan.perSecond * plan.seconds
  try {
    note('full sync')
    await service.call('wecom/sync')
    await drained(service, note)
    note('the world changes, unseen')
    const changed = await changeWorld(stand.sandbox, plan)
    await prepare(sender, stand.sandbox, service, composeCallbacks(changed, total))
    const result = await compare(
      {
        name: `${plan.perSecond} a second for ${plan.seconds} s, ${plan.customers} customers`,
        items: total,
        warmups: 0,
        rounds: 1,
        product: async () => {
          note('burst')
          const cpuMs = service.cpuMs()
          const said = await sender.ask({ send: plan.perSecond, from: 0, to: total }, Acknowledged)
          Object.assign(figures, {
            acknowledgedP50Ms: said.p50Ms,
            acknowledgedP99Ms: said.p99Ms,
            acknowledgedMaxMs: said.maxMs,
            perSecond: (total / said.tookMs) * SECOND_MS,
            notAcknowledged: said.failed.length,
            serviceCpuMs: service.cpuMs() - cpuMs,
            senderCpuMs: said.cpuMs,
          })
        },
        figures: async () => {
          const before = { ms: elapsedMs(), cpuMs: service.cpuMs() }
          await drained(service, note)
          figures['drainSeconds'] = (elapsedMs() - before.ms) / SECOND_MS
          figures['drainServiceCpuMs'] = service.cpuMs() - before.cpuMs
          figures['serviceRssMiB'] = service.rssMiB()
          await service.stop()
          return { ...figures, ...(await differences(stand, changed)) }
        },
      },
      note,
    )
    return check(note, result, [
      ['acknowledgedP99Ms', plan.perSecond >= 2_000 ? 100 : Infinity],
      ['notAcknowledged', 0],
      ['differsFromTheWorld', 0],
    ])
  } finally {
    await service.stop()
    await sender.stop()
    await stand.sandbox.close()
  }
}

/** What was done to each customer. */
type Changed = { userId: string; externalUserId: string; how: 'edited' | 'lost' | 'deleted' | 'added' | 'none' }

/** Changes that no callback tells of yet: the sandbox has no address to call. */
async function changeWorld(sandbox: Sandbox, plan: Plan): Promise<Changed[]> {
  const relations: Changed[] = []
  const client = clientOf(sandbox)
  for (const userId of await client.contacts.followUsers())
    for (const externalUserId of await client.contacts.list(userId))
      relations.push({ userId, externalUserId, how: 'none' })
  client.close()
  for (const relation of relations) {
    const draw = intOf(10, SEED, 'change', relation.userId, relation.externalUserId)
    relation.how = draw < 4 ? 'edited' : draw === 4 ? 'lost' : draw === 5 ? 'deleted' : 'none'
    const { userId, externalUserId } = relation
    if (relation.how === 'edited')
      await control(sandbox, 'contacts/edit', { userId, externalUserId, remark: '常客', addTags: ['et-important'] })
    if (relation.how === 'lost') await control(sandbox, 'contacts/delete', { userId, externalUserId, by: 'customer' })
    if (relation.how === 'deleted') await control(sandbox, 'contacts/delete', { userId, externalUserId, by: 'member' })
  }
  for (let i = 0; i < plan.customers / 10; i++) {
    const added = newCustomer(plan, i)
    await control(sandbox, 'contacts/add', added)
    relations.push({ ...added, how: 'added' })
  }
  return relations
}

function newCustomer(plan: Plan, i: number): { userId: string; externalUserId: string } {
  return {
    userId: `guide${String((i % plan.members) + 1).padStart(3, '0')}`,
    externalUserId: `wmNEW${String(i).padStart(26, '0')}`,
  }
}

/**
 * `total` messages about these relations in turn, so that each is spoken of many times: the change itself, edits, and for
 * who was lost an addition that is older. Every tenth is a repeat; another tenth comes far from its place.
 */
function composeCallbacks(changed: readonly Changed[], total: number): string[] {
  const base = Math.floor(systemClock.now().getTime() / 1000)
  const messages: string[] = []
  for (let n = 0; messages.length < total; n++) {
    const relation = changed[n % changed.length]!
    const turn = Math.floor(n / changed.length)
    messages.push(
      contactMessage(
        relation,
        typeOf(relation, turn),
        relation.how === 'lost' && turn === 1 ? base - 86_400 : base + turn,
      ),
    )
    if (messages.length % 10 === 9) messages.push(messages[messages.length - 5]!)
  }
  messages.length = total
  for (let i = 4; i + 500 < total; i += 10) [messages[i], messages[i + 500]] = [messages[i + 500]!, messages[i]!]
  return messages
}

function typeOf({ how }: Changed, turn: number): string {
  if (turn === 1 && how === 'lost') return 'add_external_contact'
  if (turn > 0) return 'edit_external_contact'
  if (how === 'lost') return 'del_follow_user'
  if (how === 'deleted') return 'del_external_contact'
  return how === 'added' ? 'add_external_contact' : 'edit_external_contact'
}

function contactMessage({ userId, externalUserId }: Changed, changeType: string, atSeconds: number): string {
  const text = (name: string, value: string) => `<${name}><![CDATA[${value}]]></${name}>`
  return `<xml>${text('ToUserName', 'corp')}${text('FromUserName', 'sys')}<CreateTime>${atSeconds}</CreateTime>${text('MsgType', 'event')}${text('Event', 'change_external_contact')}${text('ChangeType', changeType)}${text('UserID', userId)}${text('ExternalUserID', externalUserId)}</xml>`
}

/** How the mirror differs from what the platform shows and what became of each customer. */
async function differences(
  { dir, sandbox }: Stand,
  changed: readonly Changed[],
): Promise<{ relations: number; callbacksKept: number; differsFromTheWorld: number }> {
  return withDocuments(dir, async (docs) => {
    const lost = new Set(changed.filter((c) => c.how === 'lost').map((c) => relationId(c.userId, c.externalUserId)))
    const expected = new Map<string, { hash: string; state: string }>()
    const client = clientOf(sandbox)
    for (const userId of await client.contacts.followUsers()) {
      for await (const rows of client.contacts.rows([userId])) {
        for (const relation of rows.map((row) => relationOf(row))) {
          const id = relationId(userId, relation.externalUserId)
          expected.set(id, { hash: relationHash(relation), state: lost.has(id) ? 'lost' : 'active' })
        }
      }
    }
    client.close()
    let differsFromTheWorld = 0
    const relations = expected.size
    for await (const batch of docs.wecomRelations.scan({ state: { $ne: 'ended' } })) {
      for (const { _id, hash, state } of batch) {
        const right = expected.get(_id)
        expected.delete(_id)
        if (right?.hash !== hash || right.state !== state) differsFromTheWorld++
      }
    }
    const callbacksKept = await docs.callbacks.count({ state: 'done' })
    return { relations, callbacksKept, differsFromTheWorld: differsFromTheWorld + expected.size }
  })
}

// ── Welcomes while a full sync and a mass send run ──────────────────────────────────────────────────────────────────

async function welcomes(plan: Plan, dir: string, note: (text: string) => void): Promise<CaseResult> {
  const stand = await openStand(dir, plan)
  const { sandbox } = stand
  const service = await startService(stand.configFile)
  const total = plan.addsPerSecond * plan.addSeconds
  const addedAtMs = new Map<string, number>()
  const running = new AbortController()
  try {
    await service.call('wecom/sync')
    await drained(service, note)
    sandbox.setCallbackUrl(`${service.url}/wecom/callback`)
    const result = await compare(
      {
        name: `welcome messages at ${plan.addsPerSecond} adds a second, beside a full sync and mass messages`,
        items: total,
        warmups: 0,
        rounds: 1,
        product: async () => {
          const syncing = repeat(running.signal, async () => void (await service.call('wecom/sync')))
          const sending = repeat(running.signal, () => sendMass(sandbox, plan))
          note('adds')
          const startMs = elapsedMs()
          for (let i = 0; i < total; i++) {
            await sleep(Math.max(0, startMs + (i * SECOND_MS) / plan.addsPerSecond - elapsedMs()))
            const customer = newCustomer(plan, i)
            addedAtMs.set(customer.externalUserId, systemClock.now().getTime())
            await control(sandbox, 'contacts/add', customer)
          }
          for (let waitedMs = 0; greeted(sandbox).length < total && waitedMs < 30 * SECOND_MS; waitedMs += 200)
            await sleep(200)
          running.abort()
          await Promise.all([syncing, sending])
        },
        figures: async () => {
          await drained(service, note)
          await service.stop()
          const inService = await withDocuments(dir, (docs) => waitsInService(docs, sandbox))
          const waits = greeted(sandbox)
            .map((m) => m.sentAt.getTime() - addedAtMs.get(m.externalUserId)!)
            .sort((a, b) => a - b)
          const at = (ratio: number) => waits[Math.min(waits.length - 1, Math.floor(waits.length * ratio))] ?? Infinity
          const twice = waits.length - new Set(greeted(sandbox).map((m) => m.externalUserId)).size
          return {
            welcomes: waits.length,
            serviceP50Ms: inService[Math.floor(inService.length * 0.5)] ?? Infinity,
            serviceP99Ms: inService[Math.floor(inService.length * 0.99)] ?? Infinity,
            missing: total - waits.length,
            twice,
            welcomeP50Ms: at(0.5),
            welcomeP99Ms: at(0.99),
            welcomeMaxMs: waits.at(-1) ?? 0,
            massMessages: sandbox.log().filter((m) => m.kind === 'mass').length,
          }
        },
      },
      note,
    )
    return check(note, result, [
      ['welcomeP99Ms', 2_000],
      ['missing', 0],
      ['twice', 0],
    ])
  } finally {
    running.abort()
    await service.stop()
    await sandbox.close()
  }
}

/** From a callback's arrival in the service to its welcome message at the platform; ascending. */
async function waitsInService(docs: Collections, sandbox: Sandbox): Promise<number[]> {
  const sentAt = new Map(greeted(sandbox).map((m) => [`contact:${m.externalUserId}`, m.sentAt.getTime()]))
  const callbacks = await docs.callbacks.find({ about: { $in: [...sentAt.keys()] } })
  return callbacks.map((c) => sentAt.get(c.about!)! - c.acceptedAt.getTime()).sort((a, b) => a - b)
}

function greeted(sandbox: Sandbox) {
  return sandbox.log().filter((m) => m.kind === 'welcome')
}

async function repeat(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) await work()
}

/** A mass message of one member to her first hundred customers, by the same app; she sends it at once. */
async function sendMass(sandbox: Sandbox, plan: Plan): Promise<void> {
  const client = clientOf(sandbox)
  try {
    const userId = `guide${String(intOf(plan.members, SEED, 'mass', elapsedMs()) + 1).padStart(3, '0')}`
    const externalUserIds = (await client.contacts.list(userId)).slice(0, 100)
    if (externalUserIds.length > 0) {
      const { msgId } = await client.mass.create({ sender: userId, externalUserIds, text: '上新了', attachments: [] })
      await control(sandbox, 'send', { msgid: msgId, userId })
    }
    await sleep(500)
  } finally {
    client.close()
  }
}

// ── Killed right after an acknowledgement ───────────────────────────────────────────────────────────────────────────

const Prepared = z.strictObject({ prepared: z.number() })

async function kills(plan: Plan, dir: string, note: (text: string) => void): Promise<CaseResult> {
  const stand = await openStand(dir, plan)
  const perKill = Math.max(20, plan.perSecond / 4)
  const changed = await changeWorld(stand.sandbox, plan)
  const messages = composeCallbacks(changed, perKill * plan.kills)
  const distinct = new Set(messages).size
  let notAcknowledged = 0
  try {
    const result = await compare(
      {
        name: `killed ${plan.kills} times right after an acknowledgement`,
        items: messages.length,
        warmups: 0,
        rounds: 1,
        product: async () => {
          for (let kill = 0; kill < plan.kills; kill++) {
            note(`kill ${kill + 1} of ${plan.kills}`)
            const service = await startService(stand.configFile)
            const sender = startChild('../callbacks/sender')
            await prepare(sender, stand.sandbox, service, messages)
            const said = await sender.ask(
              { send: plan.perSecond, from: kill * perKill, to: (kill + 1) * perKill },
              Acknowledged,
            )
            await service.kill()
            notAcknowledged += said.failed.length
            await sender.stop()
          }
        },
        figures: async () => {
          const kept = await withDocuments(dir, (docs) => docs.callbacks.count({}))
          const service = await startService(stand.configFile)
          await drained(service, note)
          await service.stop()
          const done = await withDocuments(dir, (docs) => docs.callbacks.count({ state: 'done' }))
          return { notAcknowledged, lost: distinct - kept, notWorkedOff: distinct - done }
        },
      },
      note,
    )
    return check(note, result, [
      ['notAcknowledged', 0],
      ['lost', 0],
      ['notWorkedOff', 0],
    ])
  } finally {
    await stand.sandbox.close()
  }
}

// ── Pieces ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async function prepare(sender: Child, sandbox: Sandbox, service: Service, messages: readonly string[]): Promise<void> {
  const { corpId, app } = sandbox
  await sender.ask({ prepare: messages, url: `${service.url}/wecom/callback`, corpId, ...app.callback }, Prepared)
}

/** Waits until nothing that was handed over is left. */
async function drained(service: Service, note: (text: string) => void): Promise<void> {
  const untilMs = elapsedMs() + DRAIN_MS
  for (;;) {
    const { waiting, callbacks } = await service.call<{ waiting: number; callbacks: number }>('inbox')
    if (waiting + callbacks === 0) return
    if (elapsedMs() > untilMs) throw new Error(`${callbacks} callbacks and ${waiting} batches are left`)
    note(`${callbacks} callbacks and ${waiting} batches are left`)
    await sleep(1_000)
  }
}

async function withDocuments<T>(dir: string, work: (docs: Collections) => Promise<T>): Promise<T> {
  const store = openSqliteDocuments({ file: join(dir, 'data/documents.sqlite') })
  try {
    return await work(await openCollections(store))
  } finally {
    await store.close()
  }
}

function clientOf(sandbox: Sandbox) {
  const { url: baseUrl, corpId, app } = sandbox
  return createWecomClient({
    baseUrl,
    corpId,
    agentId: app.agentId,
    secret: app.secret,
    clock: systemClock,
    log: quietLog,
  })
}

async function control(sandbox: Sandbox, what: string, body: object): Promise<void> {
  const response = await fetch(`${sandbox.url}/control/${what}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${sandbox.controlKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`control ${what}: ${response.status} ${await response.text()}`)
}

/** @throws {Error} when a figure is above what was promised */
function check(
  note: (text: string) => void,
  result: CaseResult,
  promises: readonly [figure: string, most: number][],
): CaseResult {
  const figures = result.product.rounds.at(-1)?.figures ?? {}
  note(JSON.stringify(figures))
  for (const [figure, most] of promises) {
    const value = figures[figure] ?? Infinity
    if (value > most) throw new Error(`${result.name}: ${figure} is ${value}, promised are ${most} at most`)
  }
  return result
}
