import type { WantedWay } from '../../../domain/ways/plan.js'
import { UnknownOutcomeError, UpstreamError } from '../../../errors.js'
import type {
  ActOutcome,
  CorpTag,
  DayFigures,
  FoundWayAt,
  Undone,
  WecomActions,
  WecomStatistics,
  WecomTags,
  WecomTransfers,
  WecomWays,
} from '../../../ports/wecom-actions.js'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../../time.js'
import type { AcquisitionLink } from '../calls/acquisition.js'
import type { WecomClient } from '../client.js'
import { meaningOf, WecomError } from '../transport/error-codes.js'
import type { TagGroup } from '../calls/tags.js'
import type { ContactWay, ContactWayFound, JoinWay, JoinWayFound } from '../calls/ways.js'

const AFTER_UNREACHED_MS = 30 * SECOND_MS
/** Somebody must change a setting first; nothing is lost meanwhile. */
const AFTER_PERSON_MS = 15 * MINUTE_MS
/** Ways made by API have been listed since then (page 92228). */
const FIRST_WAY_AT = new Date('2021-07-10T00:00:00+08:00')

/** The client's calls as the services want them: changes that tell what became of them, behind everything that is urgent. */
export function createActions(client: WecomClient): WecomActions {
  return {
    tags: tagActions(client),
    ways: wayActions(client),
    transfers: transferActions(client),
    statistics: statisticsActions(client),
  }
}

function tagActions(client: WecomClient): WecomTags {
  const { tags, contacts } = client.as('send')
  return {
    list: async () => (await tags.list()).flatMap(toCorpTags),
    add: (group, names) =>
      outcome(async () => {
        const made = await tags.add({ group: { name: group }, tags: names.map((name) => ({ name })) })
        return { kind: 'done', tags: toCorpTags(made) }
      }),
    async mark(userId, externalUserId, { add, remove }) {
      const change = { ...(add.length > 0 && { add }), ...(remove.length > 0 && { remove }) }
      try {
        await tags.mark(userId, externalUserId, change)
        return { kind: 'done' }
      } catch (err) {
        return err instanceof WecomError && err.errcode === 40068 ? { kind: 'unknown_tag' } : repeatable(undone(err))
      }
    },
    remark: async (userId, externalUserId, remark) =>
      repeatable(await act(() => contacts.remark(userId, externalUserId, { remark }))),
  }
}

function toCorpTags({ group_id: groupId, group_name: group, tag }: TagGroup): CorpTag[] {
  return tag.filter((t) => !t.deleted).map(({ id, name }) => ({ id, name, groupId, group }))
}

function wayActions(client: WecomClient): WecomWays {
  const { contactWays, joinWays, acquisition } = client.as('sync')
  return {
    async *find(joinWayIds, now) {
      const from = now > FIRST_WAY_AT ? FIRST_WAY_AT : new Date(now.getTime() - 365 * DAY_MS)
      for await (const ids of contactWays.list(from, now)) {
        for (const id of ids) {
          const way = await contactWays.get(id)
          if (way !== undefined) yield toFoundWay(way)
        }
      }
      for (const id of joinWayIds) {
        const way = await joinWays.get(id)
        if (way !== undefined) yield toFoundJoinWay(way)
      }
      // A company without the acquisition assistant has no links, which is no fault of the rest.
      yield* linksOf(acquisition)
    },
    create: (way) =>
      outcome(async () => {
        if (way.kind === 'join_way') return { kind: 'done', remoteId: await joinWays.create(toJoinWay(way.spec)) }
        if (way.kind === 'way') {
          const made = await contactWays.create(toContactWay(way.spec))
          return { kind: 'done', remoteId: made.configId, ...(made.qrCode !== undefined && { address: made.qrCode }) }
        }
        const { linkId, url } = await acquisition.create(toLink(way.spec))
        return { kind: 'done', remoteId: linkId, address: url }
      }),
    update: (remoteId, way) =>
      act(() => {
        if (way.kind === 'join_way') return joinWays.update(remoteId, toJoinWay(way.spec))
        if (way.kind === 'link') return acquisition.update(remoteId, toLink(way.spec))
        const { kind: _kind, scene: _scene, ...fields } = toContactWay(way.spec)
        return contactWays.update(remoteId, fields)
      }),
    delete: (kind, remoteId) =>
      act(() => {
        if (kind === 'join_way') return joinWays.delete(remoteId)
        return kind === 'way' ? contactWays.delete(remoteId) : acquisition.delete(remoteId)
      }),
  }
}

async function* linksOf(acquisition: WecomClient['acquisition']): AsyncIterable<FoundWayAt> {
  try {
    for await (const ids of acquisition.list()) {
      for (const id of ids) {
        const link = await acquisition.get(id)
        yield {
          kind: 'link',
          remoteId: id,
          address: link.url,
          spec: {
            name: link.name,
            userIds: [...(link.userIds ?? [])].sort(),
            departmentIds: [...(link.departmentIds ?? [])].sort((a, b) => a - b),
            skipVerify: link.skipVerify ?? true,
            prefer: typeof link.prefer === 'object' ? [...link.prefer].sort() : (link.prefer ?? null),
          },
        }
      }
    }
  } catch (err) {
    if (!(err instanceof WecomError) || err.errcode !== 48002) throw err
  }
}

type Spec<K extends WantedWay['kind']> = Extract<WantedWay, { kind: K }>['spec']

/** Always of the kind for several members: how many are on duty changes, the kind cannot. */
function toContactWay({ name, scene, state, skipVerify, userIds, departmentIds }: Spec<'way'>): ContactWay {
  return { kind: 'multi', scene, remark: name, state, skipVerify, userIds, departmentIds }
}

function toFoundWay(way: ContactWayFound): FoundWayAt {
  return {
    kind: 'way',
    remoteId: way.configId,
    ...(way.qrCode !== undefined && { address: way.qrCode }),
    spec: {
      name: way.remark ?? '',
      scene: way.scene,
      state: way.state ?? '',
      skipVerify: way.skipVerify ?? true,
      userIds: [...(way.userIds ?? [])].sort(),
      departmentIds: [...(way.departmentIds ?? [])].sort((a, b) => a - b),
    },
  }
}

function toJoinWay(spec: Spec<'join_way'>): JoinWay {
  const { name, groupBaseName, groupBaseNumber, ...same } = spec
  return {
    ...same,
    remark: name,
    ...(groupBaseName !== null && { groupBaseName }),
    ...(groupBaseNumber !== null && { groupBaseNumber }),
  }
}

function toFoundJoinWay(way: JoinWayFound): FoundWayAt {
  return {
    kind: 'join_way',
    remoteId: way.configId,
    ...(way.qrCode !== undefined && { address: way.qrCode }),
    spec: {
      name: way.remark ?? '',
      scene: way.scene,
      state: way.state ?? '',
      chatIds: [...way.chatIds],
      createsGroups: way.createsGroups ?? true,
      groupBaseName: way.groupBaseName ?? null,
      groupBaseNumber: way.groupBaseNumber ?? null,
    },
  }
}

function toLink({ prefer, ...same }: Spec<'link'>): AcquisitionLink {
  return { ...same, ...(prefer !== null && { prefer }) }
}

/** Already under way: what was asked for is happening. */
const UNDER_WAY = new Set([40100, 40129])
const HANDOVER = { onjob: 'externalcontact/transfer_customer', resigned: 'externalcontact/resigned/transfer_customer' }

function transferActions(client: WecomClient): WecomTransfers {
  const { transfer } = client.as('sync')
  return {
    ask: (handover) =>
      outcome(async () => ({
        kind: 'done',
        refused: (await transfer.customers(handover)).map(({ externalUserId, errcode }) => ({
          externalUserId,
          reason: `${meaningOf(HANDOVER[handover.kind], errcode).say} (${errcode})`,
          underWay: UNDER_WAY.has(errcode),
        })),
      })),
    results: (kind, from, to) => transfer.results(kind, from, to),
    async unassignedOf(userId) {
      const found: string[] = []
      for await (const page of transfer.unassigned())
        found.push(...page.filter((u) => u.handover_userid === userId).map((u) => u.external_userid))
      return found
    },
  }
}

function statisticsActions(client: WecomClient): WecomStatistics {
  const { statistics } = client.as('sync')
  return {
    async ofMember(userId, from, to) {
      const days = await statistics.behaviour({ userIds: [userId] }, { from, to })
      return days.map(({ stat_time, ...figures }): DayFigures => ({
        at: new Date(stat_time * SECOND_MS),
        figures: numbersOf(figures),
      }))
    },
    async ofOwners(userIds, on) {
      const found: { userId: string; figures: DayFigures['figures'] }[] = []
      for await (const page of statistics.groupsByOwner(userIds, { from: on, to: on }))
        found.push(...page.map(({ owner, data }) => ({ userId: owner, figures: numbersOf(data) })))
      return found
    },
  }
}

function numbersOf(figures: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter((pair): pair is [string, number] => pair[1] !== undefined))
}

function act(work: () => Promise<void>): Promise<ActOutcome> {
  return outcome(async () => {
    await work()
    return { kind: 'done' }
  })
}

async function outcome<T extends { kind: 'done' }>(work: () => Promise<T>): Promise<T | Undone> {
  try {
    return await work()
  } catch (err) {
    const why = undone(err)
    // The state asked for is the state there is; only changes without an answer of their own are taken so.
    return why.kind === 'done' ? ({ kind: 'done' } as T) : why
  }
}

/** What a failed change means. Rethrows what is neither a refusal nor a fault of the way there. */
function undone(err: unknown): ActOutcome {
  if (err instanceof UnknownOutcomeError) return { kind: 'unknown', reason: err.message }
  if (err instanceof WecomError) {
    const reason = err.message
    if (err.errcode === -1) return { kind: 'unknown', reason }
    switch (err.meaning) {
      case 'slow_down':
      case 'refresh_token':
        return { kind: 'later', afterMs: err.retryAfterMs ?? MINUTE_MS, reason }
      case 'tell_a_person':
        return { kind: 'later', afterMs: AFTER_PERSON_MS, reason }
      case 'give_up_recipient':
        return { kind: 'gone', reason }
      case 'already_done':
        return { kind: 'done' }
      case 'give_up_request':
        return { kind: 'refused', reason }
    }
  }
  if (err instanceof UpstreamError && err.retryable)
    return { kind: 'later', afterMs: AFTER_UNREACHED_MS, reason: err.upstreamCode }
  throw err
}

/** A change whose repetition does nothing is simply asked for again. */
function repeatable(outcome: ActOutcome): ActOutcome {
  return outcome.kind === 'unknown' ? { kind: 'later', afterMs: AFTER_UNREACHED_MS, reason: outcome.reason } : outcome
}
