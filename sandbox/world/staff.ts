import { openObjects } from '../objects.js'
import type { ScenarioDepartment, ScenarioMember } from '../scenario.js'
import type { State } from '../state.js'

type Company = { members: readonly ScenarioMember[]; departments: readonly ScenarioDepartment[] }

/**
 * Who works for the company. The scenario says who they are at first; the state says who has left, and what was written
 * through the API since.
 */
export class Staff {
  /** Whoever works or worked here. */
  all: readonly ScenarioMember[] = []
  private byKey: ReadonlyMap<string, ScenarioMember> = new Map()
  private left = new Map<string, Date>()
  private written = new Map<number, ScenarioDepartment | undefined>()

  /** @param listed - as they are on the first day */
  constructor(
    private readonly state: State,
    private listed: Company,
  ) {
    this.refresh()
  }

  /** There are more of them on the first day than those of the constructor. */
  list({ members, departments }: Company): void {
    this.listed = {
      members: [...this.listed.members, ...members],
      departments: [...this.listed.departments, ...departments],
    }
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

  /** As `find`. @throws {RangeError} when there is nobody of that id */
  known(userId: string): ScenarioMember {
    const member = this.find(userId)
    if (member === undefined) throw new RangeError(`no member "${userId}" in the scenario`)
    return member
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

  /** Somebody new, or known with other data; who had left is back. Inside a transaction. */
  put(member: ScenarioMember): void {
    this.writtenMembers().put(member.userId, member)
    this.state.run('DELETE FROM resignation WHERE user_id = ?', member.userId)
    this.refresh()
  }

  /** @param change - null: there is no such department any more */
  putDepartment(id: number, change: ScenarioDepartment | null): void {
    this.writtenDepartments().put(String(id), change)
    this.refresh()
  }

  /** The departments as they are now, the root first. */
  get departments(): readonly ScenarioDepartment[] {
    const listed = this.listed.departments
    if (this.written.size === 0) return listed
    const all = new Map(listed.map((d) => [d.id, d as ScenarioDepartment | undefined]))
    for (const [id, department] of this.written) all.set(id, department)
    return [...all.values()].filter((d) => d !== undefined)
  }

  /** Reads again what was written: after a transaction that failed. */
  refresh(): void {
    const rows = this.state.all<{ user_id: string; at_ms: number }>('SELECT * FROM resignation')
    this.left = new Map(rows.map((row) => [row.user_id, new Date(row.at_ms)]))
    const written = this.writtenMembers()
      .list()
      .map((row) => row.body)
    this.byKey = new Map([...this.listed.members, ...written].map((m) => [m.userId.toLowerCase(), m]))
    this.all = written.length === 0 ? this.listed.members : [...this.byKey.values()]
    const departments = this.writtenDepartments().list()
    this.written = new Map(departments.map((row) => [Number(row.id), row.body ?? undefined]))
  }

  private writtenMembers() {
    return openObjects<ScenarioMember>(this.state, 0, 'member')
  }

  private writtenDepartments() {
    return openObjects<ScenarioDepartment | null>(this.state, 0, 'department')
  }
}
