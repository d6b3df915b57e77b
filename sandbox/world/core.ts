import { SECOND_MS } from '../../src/time.js'
import type { SandboxIdentity } from '../identity.js'
import type { Scenario, ScenarioMember } from '../scenario.js'
import type { State } from '../state.js'
import { toXml, type XmlFields } from '../xml.js'
import { Agenda } from './agenda.js'
import { EventLog } from './event-log.js'
import { Staff } from './staff.js'

/**
 * What every part of the world stands on: the state, the seed of all draws, who works here, what is going to happen, and
 * the two ways in which something that happened is told. The parts know this and each other, never the world.
 */
export class Core {
  readonly events = new EventLog()
  readonly agenda: Agenda
  /** Everybody who works or worked here, listed or of the population. */
  readonly staff: Staff
  /** How many callbacks were raised. */
  protected raised = 0

  constructor(
    readonly state: State,
    readonly seed: number,
    readonly scenario: Scenario,
    readonly identity: SandboxIdentity,
    /** Nobody is called back while there is no receiver. */
    private readonly callsBack: () => boolean,
  ) {
    this.agenda = new Agenda(state)
    this.staff = new Staff(state, scenario)
  }

  /** Somebody who works here now. User ids are case-insensitive on input. */
  member(userId: string): ScenarioMember | undefined {
    const member = this.staff.find(userId)
    return member === undefined || this.staff.leftAt(member.userId) !== undefined ? undefined : member
  }

  /** Writes a line of the event log: something that people did, or that was done to them. Keys are ids, never texts. */
  happened(at: Date, kind: string, ...keys: string[]): void {
    this.events.add(at, kind, keys)
  }

  /**
   * Puts a callback into the outbox; it is sent to every app that should get it once the transaction is written.
   *
   * @param fields - `Event` and what belongs to it; of the head that all have, `FromUserName` may be another
   */
  raise(at: Date, fields: XmlFields): void {
    if (!this.callsBack()) return
    this.raised++
    const head = {
      ToUserName: this.identity.corpId,
      FromUserName: 'sys',
      CreateTime: Math.floor(at.getTime() / SECOND_MS),
      MsgType: 'event',
    }
    this.state.append('outbox (at_ms, body)', [at.getTime(), toXml({ ...head, ...fields })])
  }
}
