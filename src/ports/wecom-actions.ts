import type { FoundWay, WantedWay } from '../domain/ways/plan.js'
import type { WayKind } from '../domain/ways/definition.js'

/** What became of a change we asked for. */
export type ActOutcome =
  | { kind: 'done' }
  /** The member or the customer is not there, for this and every later request. */
  | { kind: 'gone'; reason: string }
  /** Certainly not done, and this request never will be. */
  | { kind: 'refused'; reason: string }
  /** Certainly not done, or harmless to ask for again: not before `afterMs`. */
  | { kind: 'later'; afterMs: number; reason: string }
  /** It may have been done: read back. */
  | { kind: 'unknown'; reason: string }
export type Undone = Exclude<ActOutcome, { kind: 'done' }>

export type CorpTag = { id: string; name: string; groupId: string; group: string }

export interface WecomTags {
  /** Every corp tag there is. */
  list(): Promise<CorpTag[]>
  /** Makes tags, and the group when there is none; `refused` when one of them exists. */
  add(group: string, names: readonly string[]): Promise<{ kind: 'done'; tags: CorpTag[] } | Undone>
  /** By tag ids. Repeating it changes nothing, so it is never `unknown`. `unknown_tag`: one is deleted or foreign, and none was marked. */
  mark(
    userId: string,
    externalUserId: string,
    change: { add: readonly string[]; remove: readonly string[] },
  ): Promise<ActOutcome | { kind: 'unknown_tag' }>
  /** At most 20 characters. Repeating it changes nothing, so it is never `unknown`. */
  remark(userId: string, externalUserId: string, remark: string): Promise<ActOutcome>
}

/** A way with where it leads: the picture of its code, or the address of a link. */
export type FoundWayAt = FoundWay & { address?: string }

export interface WecomWays {
  /** Every way and link our app may see. Group codes cannot be listed: those of `joinWayIds` are looked up. */
  find(joinWayIds: readonly string[], now: Date): AsyncIterable<FoundWayAt>
  create(way: WantedWay): Promise<{ kind: 'done'; remoteId: string; address?: string } | Undone>
  update(remoteId: string, way: WantedWay): Promise<ActOutcome>
  /** One that is gone is done. */
  delete(kind: WayKind, remoteId: string): Promise<ActOutcome>
}

export type HandoverKind = 'onjob' | 'resigned'
export type HandoverResult = {
  externalUserId: string
  state: 'done' | 'waiting' | 'refused' | 'takeover_full' | 'no_record'
  /** When it happened, or will. */
  at?: Date
}

export interface WecomTransfers {
  /** At most 100 customers. `refused` lists those for whom nothing was begun; `under_way` counts as begun. */
  ask(handover: {
    kind: HandoverKind
    from: string
    to: string
    externalUserIds: readonly string[]
    message?: string
  }): Promise<{ kind: 'done'; refused: { externalUserId: string; reason: string; underWay: boolean }[] } | Undone>
  results(kind: HandoverKind, from: string, to: string): AsyncIterable<HandoverResult[]>
  /** Customers of this member, who has left, that nobody has taken over. */
  unassignedOf(userId: string): Promise<string[]>
}

/** Figures of one calendar day in Shanghai, under the platform's own names. */
export type DayFigures = { at: Date; figures: Readonly<Record<string, number>> }

export interface WecomStatistics {
  /** One member's days in [from, to], at most 30, none of today. */
  ofMember(userId: string, from: Date, to: Date): Promise<DayFigures[]>
  /** The groups of each of at most 100 owners on one day. */
  ofOwners(userIds: readonly string[], on: Date): Promise<{ userId: string; figures: DayFigures['figures'] }[]>
}

/** What we change in WeCom, and what it counts. Reads throw {UpstreamError}; changes tell what became of them. */
export interface WecomActions {
  tags: WecomTags
  ways: WecomWays
  transfers: WecomTransfers
  statistics: WecomStatistics
}
