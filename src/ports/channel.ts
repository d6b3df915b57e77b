import type { ChannelKind } from '../domain/touches/kinds/kind.js'
import type { CarrierName } from '../domain/touches/channels.js'

/** What a channel is asked to send: one content, one sender, many recipients; its `id` is the key of the effect. */
export type Dispatch = {
  id: string
  /** The member (导购) in whose name it goes, where one must be. */
  sender?: string
  recipients: readonly DispatchRecipient[]
  content: DispatchContent
  createdAt: Date
}
/** `to`: what the channel's `address` says. */
export type DispatchRecipient = { touchId: string; to: string }

export type DispatchContent = {
  text: string
  /** Unique to the dispatch (carries its id): reading back finds a dispatch by it after a lost reply. */
  link?: { title: string; url: string; description?: string }
  /** Guide tasks: rows of the card and its buttons. */
  card?: {
    title: string
    rows: readonly { name: string; value: string }[]
    buttons: readonly { key: string; text: string }[]
  }
}

export type DispatchOutcome =
  /** Accepted. `refused` lists recipients the platform will not reach, with the reason. */
  | {
      kind: 'created'
      remoteId: string
      responseCode?: string
      refused: readonly { to: string; reason: string }[]
    }
  /** Certainly not applied, and a repetition would be refused again. `elsewhere`: through another member it may go. */
  | { kind: 'refused'; reason: string; message: string; elsewhere?: true }
  /** Certainly not applied; try again not before `afterMs`. */
  | { kind: 'later'; afterMs: number; reason: string }
  /** It may have been applied: `settle` must say. */
  | { kind: 'unknown'; reason: string }

export type DispatchResult = {
  /** When the sender pressed send; absent while she has not. */
  confirmedAt?: Date
  recipients: readonly {
    to: string
    state: 'waiting' | 'delivered' | 'not_a_contact' | 'over_quota'
    at?: Date
  }[]
  /** Nothing will change any more. */
  final: boolean
}

/** Why a dispatch comes back `later` that nobody was asked for: whoever was to send it no longer may. */
export const TOO_LATE = 'too_late'

/** What the platform takes in one dispatch; more is refused. */
export type ChannelLimits = { recipients: number; textBytes?: number; buttons?: number }

/** A way out. Outcomes are values; only faults that no caller can handle are thrown. */
export interface Channel extends Pick<ChannelKind, 'address' | 'needsConfirmation' | 'class'> {
  readonly name: string
  readonly limits: ChannelLimits
  /**
   * @param isLate - asked last, right before each request leaves and before each repetition: once it says so, somebody else may
   *   have sent it, and the outcome is `later` for the reason `TOO_LATE`
   */
  dispatch(dispatch: Dispatch, isLate: () => boolean): Promise<DispatchOutcome>
  /**
   * After a crash or an unknown outcome: what became of this dispatch? `absent` means it certainly never arrived and
   * may be sent; `unknown` means nobody can tell, and it is never sent again.
   *
   * @param isTaken - which of these the platform has of other dispatches: what bears no mark of its own may look like them
   * @throws {UpstreamError} when the platform cannot say yet
   */
  settle(dispatch: Dispatch, isTaken: TakenIds): Promise<DispatchOutcome | { kind: 'absent' }>
  /** Where things stand; `undefined` when the platform cannot say yet. Channels without results resolve to final. */
  results(dispatch: Dispatch & { remoteId: string }): Promise<DispatchResult | undefined>
  /** Tells the sender once more that something waits for her. No-op where nothing has to be confirmed, or too often. */
  remind(dispatch: Dispatch & { remoteId: string }): Promise<void>
  /**
   * Takes back what the sender has not confirmed yet. No-op when it is too late.
   *
   * @param dispatch - `closing`: of a card, that it rather stays where it is and says this instead of its buttons, if the
   *   platform still takes its one update
   */
  cancel(dispatch: Dispatch & { remoteId: string; closing?: CardClosing }): Promise<void>
}

/** `responseCode`: good for one update of the card. `text`: 10 characters at most. */
export type CardClosing = { responseCode: string; text: string }

/** Which of these ids of the platform are known to be of other dispatches. */
export type TakenIds = (remoteIds: readonly string[]) => Promise<ReadonlySet<string>>

/** Every way out, by name. */
export type Channels = { [K in CarrierName]: Channel }
