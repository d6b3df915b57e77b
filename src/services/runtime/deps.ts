import type { IdentityConfig } from '../../domain/identity/config.js'
import type { Journey, JourneyOfRuns } from '../../domain/journeys/definition.js'
import type { Pins } from '../../domain/journeys/pins.js'
import type { Evaluable } from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { Tag } from '../../domain/tags/definition.js'
import type { Content } from '../../domain/content/content.js'
import type { Policy } from '../../domain/touches/policy.js'
import type { WelcomeRule } from '../../domain/wecom/welcome.js'
import type { Log } from '../../log.js'
import type { Channels } from '../../ports/channel.js'
import type { EventStore } from '../../ports/event-store.js'
import type { JobQueue } from '../../ports/job-queue.js'
import type { WecomActions } from '../../ports/wecom-actions.js'
import type { WecomPort } from '../../ports/wecom.js'
import type { Clock } from '../../time.js'
import type { Collections } from '../../stored/collections.js'
import type { KnownEvents } from '../ingest/known-events.js'
import type { Facts } from '../segments/facts.js'

export type PinnedJourney = { version: number; journey: Journey }

/** What operators wrote, parsed and checked. */
export type Definitions = {
  /** The publication they are; 0 when they are none that is stored. */
  version: number
  identity: IdentityConfig
  policy: Policy
  /** The events that the catalogue names; absent without one. */
  eventNames?: ReadonlySet<string>
  /** Tags and the lifecycle stage, each with its value per profile. */
  tags: readonly Tag[]
  /** Tags, stage and the entry rules of journeys. */
  evaluables: readonly Evaluable[]
  segments: ReadonlyMap<string, Rule>
  contents: ReadonlyMap<string, Content>
  /** In order: the first that holds greets a new customer. */
  welcome: readonly WelcomeRule[]
  /** Which versions of segments and contents these are: what newcomers stay on. */
  pins: Pins
  /** Contents that runs on earlier versions have as they are in this version, or in their own where that is later. */
  corrected: ReadonlyMap<string, number>
  /** Contents that nobody is sent any more, whatever the version. */
  withdrawn: ReadonlySet<string>
  /** Versions that are live for newcomers. */
  journeys: ReadonlyMap<string, PinnedJourney>
  /** Every published version that this program can read, by `pinKey`: runs stay on theirs. */
  pinned: ReadonlyMap<string, JourneyOfRuns>
}

/** What every service is handed. */
export type Deps = {
  clock: Clock
  log: Log
  docs: Collections
  events: EventStore
  /** What rules read of people in motion, at hand. */
  facts: Facts
  knownEvents: KnownEvents
  /** For hints: a lost one is found again in the documents. */
  jobs: Pick<JobQueue, 'add'>
  /** Replaced as a whole when something is published. `unreadable`: the latest publication that this program cannot read. */
  definitions: { current: Definitions; unreadable?: number }
  channels: Channels
  brand: { name: string; timeZone: string; locale: 'zh' | 'en' }
  /** How far ahead of our clock an instant may lie that a sender tells: it counts as now. */
  ingest: { aheadMs: number }
  sending: { mode: 'off' | 'dry' | 'allow_list' | 'live'; allowList: readonly string[] }
  /** Where links of contents point, e.g. https://m.example.com/t; absent: nowhere. */
  linkBase?: string
  /** Splits and holdouts hash (seed, purpose, identifier). */
  seed: number
  worker: Worker
}

/** Who does the work, among those that might: what claims and deadlines go by. */
export type Worker = {
  /** Monotonic, in milliseconds: clocks of the day are set, and differ between machines. */
  elapsedMs: () => number
  /** No other process can reach these stores: what another one had begun, it will not end. */
  alone: boolean
  /** Of the lease under which it works, 0 without one. */
  fence: number
  /** Whether it was held still for so long that others may soon work in its place. */
  isLate: () => boolean
}

/** What services are handed that speak with WeCom outside a channel. */
export type ServiceDeps = Deps & { wecom: WecomPort; wecomActions: WecomActions; wecomSettings: WecomSettings }

export type WecomSettings = {
  /** Time of day (HH:MM, business time zone) of the daily reconciliation; `off` for none. */
  reconcileAt: string
  /** Time of day (HH:MM, in Shanghai) at which yesterday's figures are pulled, or off. */
  statisticsAt: string
  /** Whether tags marked `writeback` are pushed. */
  writeback: 'on' | 'off' | 'dry'
  /** Who is told of a lost customer: the guide, and these members. */
  lostNotice: { guide: boolean; userIds: readonly string[] }
}
