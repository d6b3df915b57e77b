import { Gauge, type Registry } from 'prom-client'
import { TouchState } from '../domain/touches/touch.js'
import type { JobQueue } from '../ports/job-queue.js'
import type { Deps } from '../services/deps.js'
import { isStopped } from '../services/switch-sending.js'

/** Figures of the service's work, counted over indexes whenever they are asked for. */
export function measureService(registry: Registry, { docs }: Pick<Deps, 'docs'>, queue: JobQueue): void {
  const registers = [registry]
  new Gauge({
    name: 'siyu_inbox_batches',
    help: 'Batches of records that are accepted and not yet worked off',
    registers,
    async collect() {
      this.set(await docs.batches.count({ state: { $in: ['accepted', 'planned'] } }))
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
    name: 'siyu_tasks_open',
    help: 'Guide tasks that are open',
    registers,
    async collect() {
      this.set(await docs.tasks.count({ state: 'open' }))
    },
  })
  new Gauge({
    name: 'siyu_jobs',
    help: 'Jobs in the queue by state',
    labelNames: ['state'],
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await queue.counts())) this.set({ state }, count)
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
