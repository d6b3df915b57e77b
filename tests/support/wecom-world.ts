import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario, type ScenarioInput } from '../../sandbox/scenario.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { createActions } from '../../src/adapters/wecom/port/actions.js'
import { createWecomClient, type WecomClient } from '../../src/adapters/wecom/client.js'
import { createWecomPort } from '../../src/adapters/wecom/port/port.js'
import type { WecomRelation } from '../../src/domain/wecom/mirror.js'
import { relationHash, relationId } from '../../src/domain/wecom/relation.js'
import { type Log, quietLog } from '../../src/log.js'
import type { EventStore } from '../../src/ports/event-store.js'
import { type Collections, openCollections } from '../../src/stored/collections.js'
import { KnownEvents } from '../../src/services/ingest/known-events.js'
import { Facts } from '../../src/services/segments/facts.js'
import type { Definitions, ServiceDeps } from '../../src/services/runtime/deps.js'
import { MINUTE_MS } from '../../src/time.js'
import { define, type Definitions as DefinitionInput } from './build-deps.js'

export type WecomWorld = {
  sandbox: Sandbox
  client: WecomClient
  docs: Collections
  deps: ServiceDeps
  /** What was logged, oldest first. */
  logged: string[]
  define(d: DefinitionInput): void
  /** A profile with one identifier, known to these members, and the mirror of her relations as WeCom shows them now. */
  customer(profileId: number, externalUserId: string): Promise<void>
  close(): Promise<void>
}

/** The services that change WeCom, against a real sandbox; with an event store only where a test gives one. */
export async function openWecomWorld(
  scenario: ScenarioInput,
  at: Date,
  { events, ...more }: { callbackUrl?: string; events?: EventStore } = {},
): Promise<WecomWorld> {
  const sandbox = await startSandbox({
    file: ':memory:',
    seed: 1,
    startAt: at,
    clock: 'step',
    scenario: parseScenario(scenario),
    ...more,
  })
  const { url: baseUrl, corpId, app } = sandbox
  const pause = () => Promise.resolve()
  const client = createWecomClient({
    baseUrl,
    corpId,
    agentId: app.agentId,
    secret: app.secret,
    clock: sandbox,
    log: quietLog,
    pause,
    timeoutMs: MINUTE_MS,
  })
  const store = openSqliteDocuments({ file: ':memory:', fsync: false })
  const docs = await openCollections(store)
  const logged: string[] = []
  const note = (fact: string) => void logged.push(fact)
  const log: Log = { info: note, warn: note, error: note }
  const deps: ServiceDeps = {
    clock: sandbox,
    log,
    docs,
    events: events ?? absent('the event store'),
    facts: events === undefined ? absent('facts') : new Facts(events, docs),
    knownEvents: events === undefined ? absent('known events') : new KnownEvents(events, true),
    jobs: { add: () => Promise.resolve() },
    definitions: { current: toDefinitions({}) },
    channels: absent('channels'),
    brand: { name: '测试品牌', timeZone: 'Asia/Shanghai', locale: 'zh' },
    ingest: { aheadMs: 5 * MINUTE_MS },
    sending: { mode: 'live', allowList: [] },
    linkBase: 'https://m.example.com',
    seed: 1,
    worker: { elapsedMs: () => 0, alone: true, fence: 0, isLate: () => false },
    wecom: createWecomPort(client),
    wecomActions: createActions(client),
    wecomSettings: {
      writeback: 'on',
      statisticsAt: '09:00',
      reconcileAt: 'off',
      lostNotice: { guide: false, userIds: [] },
    },
  }
  return {
    sandbox,
    client,
    docs,
    deps,
    logged,
    define: (d) => {
      deps.definitions.current = toDefinitions(d)
    },
    async customer(profileId, externalUserId) {
      const detail = await client.contacts.get(externalUserId)
      if (detail === undefined) throw new Error(`the sandbox has no customer ${externalUserId}`)
      const { external_contact: contact, follow_user: follows } = detail
      const relations = follows.map((f): WecomRelation => {
        const relation = {
          userId: f.userid,
          externalUserId,
          contact: { ...(contact.name !== undefined && { name: contact.name }) },
          follow: {
            addedAt: new Date(f.createtime * 1000),
            mobiles: [],
            tagIds: f.tags.flatMap((t) => t.tag_id ?? []).sort(),
            ...(f.remark !== undefined && { remark: f.remark }),
            ...(f.state !== undefined && { state: f.state }),
          },
        }
        const _id = relationId(f.userid, externalUserId)
        return { ...relation, _id, state: 'active', hash: relationHash(relation), revision: 1, readAt: sandbox.now() }
      })
      const since = sandbox.now()
      await docs.wecomRelations.put(relations)
      await docs.identifiers.put([
        {
          _id: `external_userid:${externalUserId}`,
          type: 'external_userid',
          value: externalUserId,
          profileId,
          shared: false,
          since,
        },
      ])
      await docs.profiles.put([
        {
          _id: profileId,
          anchor: externalUserId,
          createdAt: since,
          identifiers: [{ type: 'external_userid', value: externalUserId, source: 'wecom', since }],
          traits: {},
          contacts: relations.map((r) => ({ userId: r.userId, externalUserId, since: r.follow.addedAt })),
          mergedIds: [],
        },
      ])
    },
    close: async () => {
      client.close()
      await sandbox.close()
      await store.close()
    },
  }
}

function toDefinitions(d: DefinitionInput): Definitions {
  return {
    ...define(d),
    version: 0,
    pins: {},
    corrected: new Map(),
    withdrawn: new Set(),
    journeys: new Map(),
    pinned: new Map(),
    evaluables: [],
  }
}

/** What a test does not open: using it fails, and says so. */
function absent<T extends object>(what: string): T {
  return new Proxy({} as T, {
    get: (_target, key) => {
      throw new Error(`${what} is not part of this test (${String(key)})`)
    },
  })
}
