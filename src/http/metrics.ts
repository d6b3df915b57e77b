import { collectDefaultMetrics, Registry } from 'prom-client'

/** A registry of its own for each app, with the figures of the process (CPU, memory, event loop, garbage collection). */
export function createMetrics(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
