import { collectDefaultMetrics, Registry } from 'prom-client'
import { elapsedMs, SECOND_MS } from '../time.js'

/** How long figures of the process stand. They cost more than all others, and whoever sends may look many times a second. */
const STAND_MS = SECOND_MS

/** A registry of its own for each app, with the figures of the process (CPU, memory, event loop, garbage collection). */
export function createMetrics(): Registry {
  return new Metrics()
}

class Metrics extends Registry {
  private readonly ofProcess = new Registry()
  private text = ''
  private readMs = -Infinity

  constructor() {
    super()
    collectDefaultMetrics({ register: this.ofProcess })
  }

  override async metrics(): Promise<string> {
    if (elapsedMs() - this.readMs >= STAND_MS) {
      this.readMs = elapsedMs()
      this.text = await this.ofProcess.metrics()
    }
    return `${await super.metrics()}${this.text}`
  }
}
