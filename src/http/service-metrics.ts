import { Counter, Gauge, type Registry } from 'prom-client'
import { TouchState } from '../domain/touches/touch.js'
import type { DocumentStore } from '../ports/document-store.js'
import type { JobQueue } from '../ports/job-queue.js'
import type { Deps } from '../services/runtime/deps.js'
import { countRejected } from '../services/ingest/rejected.js'
import { listFailedRefreshes } from '../services/tags/refresh-profiles.js'
import { MENDED } from '../services/ingest/take-records.js'
import { listUnknown } from '../services/ingest/unknown-events.js'
import { countOpenBatches, inboxAge, listStillLanes } from '../services/runtime/lane-progress.js'
import { countHeld } from '../services/journeys/list-held.js'
import { countHeldTouches } from '../services/touches/held-touches.js'
import { isStopped } from '../services/touches/switch-sending.js'
import { elapsedMs, SECOND_MS } from '../time.js'

/** Calls of one platform API since the process began. */
export type CallFigures = { calls: number; waitedMs: number; tooOften: number; tooParallel: number; width: number }

/** How often the oldest batch is looked at. */
const LOOK_AGAIN_MS = 10 * SECOND_MS

/** Figures of the service's work, counted over indexes whenever they are asked for. */
export function measureService(
  registry: Registry,
  { docs, clock, definitions }: Pick<Deps, 'docs' | 'clock' | 'definitions'>,
  { queue, documents }: { queue: JobQueue; documents: Pick<DocumentStore, 'unfit'> },
): void {
  const registers = [registry]
  let lookedMs = -Infinity
  let oldestAt: string | undefined
  new Gauge({
    name: 'siyu_inbox_batches',
    help: 'Batches of records that are accepted and not yet worked off',
    registers,
    async collect() {
      this.set(await countOpenBatches({ docs }))
    },
  })
  new Gauge({
    name: 'siyu_inbox_oldest_seconds',
    help: 'How long the oldest batch of records waits, 0 when none does',
    registers,
    async collect() {
      if ((await countOpenBatches({ docs })) === 0) return this.set(0)
      // It reads a batch, and whoever sends may look many times a second.
      if (elapsedMs() - lookedMs >= LOOK_AGAIN_MS) {
        lookedMs = elapsedMs()
        oldestAt = (await inboxAge({ docs })).oldestAt
      }
      const ageMs = oldestAt === undefined ? 0 : clock.now().getTime() - new Date(oldestAt).getTime()
      this.set(Math.max(0, ageMs) / SECOND_MS)
    },
  })
  new Gauge({
    name: 'siyu_lanes_still',
    help: 'Lanes that fail again and again and make no progress, by lane',
    labelNames: ['lane'],
    registers,
    async collect() {
      this.reset()
      for (const { lane } of await listStillLanes({ docs, clock })) this.set({ lane }, 1)
    },
  })
  new Gauge({
    name: 'siyu_rejected',
    help: 'Records, profiles and rows that could not be worked off and are set aside',
    registers,
    async collect() {
      this.set(await countRejected({ docs }))
    },
  })
  new Gauge({
    name: 'siyu_unknown_events',
    help: 'Events that came in under names which no file knows, by name',
    labelNames: ['name'],
    registers,
    async collect() {
      this.reset()
      for (const { name, events } of await listUnknown({ docs, definitions })) this.set({ name }, events)
    },
  })
  new Gauge({
    name: 'siyu_mended_texts',
    help: 'Texts that came in with half a character, which became U+FFFD',
    registers,
    async collect() {
      this.set((await docs.meta.get(MENDED))?.value ?? 0)
    },
  })
  new Gauge({
    name: 'siyu_wecom_callbacks_waiting',
    help: 'WeCom callbacks that are stored and not yet worked off',
    registers,
    async collect() {
      this.set(await docs.callbacks.count({ state: { $in: ['urgent', 'accepted'] } }))
    },
  })
  new Gauge({
    name: 'siyu_touches',
    help: 'Touches by state',
    labelNames: ['state'],
    registers,
    async collect() {
      for (const state of TouchState.options) this.set({ state }, await docs.touches.count({ state }))
    },
  })
  new Gauge({
    name: 'siyu_runs_waiting',
    help: 'Journey runs that wait for their next step',
    registers,
    async collect() {
      this.set(await docs.runs.count({ state: 'waiting' }))
    },
  })
  new Gauge({
    name: 'siyu_runs_held',
    help: 'Journey runs that nobody can decide: they wait where they are and are tried again',
    registers,
    async collect() {
      this.set(await countHeld(docs))
    },
  })
  new Gauge({
    name: 'siyu_touches_held',
    help: 'Touches on their way through a channel that this version does not know: they wait for one that does',
    registers,
    async collect() {
      this.set(await countHeldTouches(docs))
    },
  })
  new Gauge({
    name: 'siyu_reactions_failed',
    help: 'Times that something which follows from changes of tags failed and is still to be done',
    registers,
    async collect() {
      this.set(await docs.openReactions.count({}))
    },
  })
  new Gauge({
    name: 'siyu_refreshes_failed',
    help: 'Refreshes of everybody that could not go on and were given up within the last 8 days',
    registers,
    async collect() {
      this.set((await listFailedRefreshes({ docs, clock })).length)
    },
  })
  new Gauge({
    name: 'siyu_unfit_documents',
    help: 'Stored documents that this process has read and cannot use, 100 at most: they stay where they are',
    registers,
    async collect() {
      this.set((await documents.unfit()).length)
    },
  })
  new Gauge({
    name: 'siyu_tasks_open',
    help: 'Guide tasks that are open',
    registers,
    async collect() {
      this.set(await docs.tasks.count({ state: 'open' }))
    },
  })
  new Gauge({
    name: 'siyu_jobs',
    help: 'Jobs of each group by state',
    labelNames: ['group', 'state'],
    registers,
    async collect() {
      for (const [group, counts] of Object.entries(await queue.counts())) {
        for (const [state, count] of Object.entries(counts)) this.set({ group, state }, count)
      }
    },
  })
  new Gauge({
    name: 'siyu_sending_stopped',
    help: '1 while the switch that stops every send is on',
    registers,
    async collect() {
      this.set((await isStopped({ docs })) ? 1 : 0)
    },
  })
}

/** Figures of the calls to WeCom by this process, per API, read whenever they are asked for. */
export function measureWecomCalls(registry: Registry, read: () => Readonly<Record<string, CallFigures>>): void {
  const count = (name: string, help: string, valueOf: (figures: CallFigures) => number) =>
    new Counter({
      name,
      help,
      labelNames: ['api'],
      registers: [registry],
      collect() {
        this.reset()
        for (const [api, figures] of Object.entries(read())) this.inc({ api }, valueOf(figures))
      },
    })
  count('siyu_wecom_calls_total', 'Calls to WeCom', (f) => f.calls)
  count('siyu_wecom_waited_seconds_total', 'Time calls to WeCom queued for a limit', (f) => f.waitedMs / SECOND_MS)
  count('siyu_wecom_too_often_total', 'Calls refused with 45009: too often', (f) => f.tooOften)
  count('siyu_wecom_too_parallel_total', 'Calls refused with 45033: too many at a time', (f) => f.tooParallel)
  new Gauge({
    name: 'siyu_wecom_width',
    help: 'Calls of one API that may run at a time, as learnt so far',
    labelNames: ['api'],
    registers: [registry],
    collect() {
      for (const [api, { width }] of Object.entries(read())) this.set({ api }, width)
    },
  })
}
