/** What the demo's page shows while it works; instants are virtual time, ISO 8601. */
export type DemoStatus = {
  phase: 'history' | 'live' | 'done'
  virtualNow: string
  /** First and last instant of the live phase. */
  from: string
  to: string
  /** Share of the present phase that is done, 0–1. */
  progress: number
  profiles: number
  merges: number
  events: number
  /** Touches by state. */
  touches: Record<string, number>
  tasks: { open: number; done: number }
  journeys: Record<string, { entered: number; waiting: number; heldOut: number }>
  /** The latest facts, newest first, at most 20; `text` in Chinese, then English. */
  recent: { at: string; kind: string; text: string }[]
  /** Messages that went out on each virtual day since `from`. */
  messagesPerDay: number[]
}
