import type { ScenarioMember } from '../scenario.js'
import type { State } from '../state.js'

/** Who works for the company. The scenario says who they are; the state says who has left. */
export class Staff {
  private readonly byKey: ReadonlyMap<string, ScenarioMember>
  private left = new Map<string, Date>()

  constructor(
    private readonly state: State,
    readonly all: readonly ScenarioMember[],
  ) {
    this.byKey = new Map(all.map((m) => [m.userId.toLowerCase(), m]))
    this.refresh()
  }

  /** Those who have not left, in the scenario's order. */
  get employed(): readonly ScenarioMember[] {
    return this.left.size === 0 ? this.all : this.all.filter((m) => !this.left.has(m.userId))
  }

  /** Whoever works or worked here. Ids are case-insensitive on input. */
  find(userId: string): ScenarioMember | undefined {
    return this.byKey.get(userId.toLowerCase())
  }

  /** When she left; `undefined` while she works here. */
  leftAt(userId: string): Date | undefined {
    return this.left.get(userId)
  }

  /** Inside a transaction. @returns whether she was still there. */
  resign(userId: string, at: Date): boolean {
    const changed = this.state.run('INSERT OR IGNORE INTO resignation VALUES (?, ?)', userId, at.getTime())
    this.refresh()
    return changed > 0
  }

  /** Reads again who has left: after a transaction that failed. */
  refresh(): void {
    const rows = this.state.all<{ user_id: string; at_ms: number }>('SELECT * FROM resignation')
    this.left = new Map(rows.map((row) => [row.user_id, new Date(row.at_ms)]))
  }
}
