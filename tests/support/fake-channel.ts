import { type CarrierName, traitsOf } from '../../src/domain/touches/channels.js'
import {
  type CardClosing,
  type Channel,
  type Dispatch,
  type DispatchOutcome,
  type DispatchResult,
  TOO_LATE,
} from '../../src/ports/channel.js'
import { type Clock, SECOND_MS } from '../../src/time.js'

/** A channel that keeps what took effect, and can be told how to answer. */
export class FakeChannel implements Channel {
  /** What arrived, in order. */
  readonly sent: (Dispatch & { at: Date })[] = []
  readonly reminded: { id: string; at: Date }[] = []
  readonly cancelled: string[] = []
  /** What cards say that were rather closed. */
  readonly closed: CardClosing[] = []
  /** How often it was asked, by dispatch. */
  readonly asked = new Map<string, number>()
  answer: (dispatch: Dispatch) => DispatchOutcome = (d) => ({ kind: 'created', remoteId: `msg-${d.id}`, refused: [] })
  /** Whether a request whose outcome is unknown has taken effect. */
  unknownArrives = true
  /** What reading back says; default: the truth. */
  readBack: ((dispatch: Dispatch) => DispatchOutcome | { kind: 'absent' }) | undefined
  result: (dispatch: Dispatch & { remoteId: string }, now: Date) => DispatchResult | undefined = () => undefined

  readonly name: string
  readonly address: Channel['address']
  readonly needsConfirmation: boolean
  readonly class: Channel['class']
  readonly limits: Channel['limits']

  constructor(
    name: CarrierName,
    private readonly clock: Clock,
  ) {
    const traits = traitsOf(name)
    this.name = traits.name
    this.address = traits.address
    this.needsConfirmation = traits.needsConfirmation
    this.class = traits.class
    this.limits = { recipients: traits.address.kind === 'staff' ? 1 : 10_000 }
  }

  async dispatch(dispatch: Dispatch, isLate: () => boolean): Promise<DispatchOutcome> {
    const { length } = dispatch.recipients
    if (length === 0 || length > this.limits.recipients)
      return { kind: 'refused', reason: 'recipients', message: `takes 1 to ${this.limits.recipients} recipients` }
    if (isLate()) return { kind: 'later', afterMs: SECOND_MS, reason: TOO_LATE }
    this.asked.set(dispatch.id, (this.asked.get(dispatch.id) ?? 0) + 1)
    const outcome = this.answer(dispatch)
    if (outcome.kind === 'created' || (outcome.kind === 'unknown' && this.unknownArrives))
      this.sent.push({ ...dispatch, at: this.clock.now() })
    return outcome
  }

  async settle(dispatch: Dispatch): Promise<DispatchOutcome | { kind: 'absent' }> {
    if (this.readBack !== undefined) return this.readBack(dispatch)
    const arrived = this.sent.some((s) => s.id === dispatch.id)
    return arrived ? { kind: 'created', remoteId: `msg-${dispatch.id}`, refused: [] } : { kind: 'absent' }
  }

  async results(dispatch: Dispatch & { remoteId: string }): Promise<DispatchResult | undefined> {
    return this.result(dispatch, this.clock.now())
  }

  async remind(dispatch: Dispatch & { remoteId: string }): Promise<void> {
    this.reminded.push({ id: dispatch.id, at: this.clock.now() })
  }

  async cancel(dispatch: Parameters<Channel['cancel']>[0]): Promise<void> {
    this.cancelled.push(dispatch.id)
    if (dispatch.closing !== undefined) this.closed.push(dispatch.closing)
  }
}
