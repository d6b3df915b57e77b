import { systemEvent } from '../../domain/events/system-events.js'
import type { OwnSource } from '../../domain/events/sources.js'
import type { RecordEvent, SourceRecordInput } from '../../domain/events/record.js'
import type { WecomGroup, WecomGroupMember, WecomMember, WecomTag } from '../../domain/wecom/mirror.js'
import type { GroupNow } from '../../ports/wecom.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { mirrorRelations, retellCustomers } from './mirror-relations.js'

/** Groups asked for at the same time: more than the platform works on at a time, so that it is never idle. */
const READERS = 16

/** Corp tags. Those who carry a tag with a new name are told anew. @returns how many tags there are */
export async function mirrorTags(deps: ServiceDeps, cause: string): Promise<number> {
  const { docs } = deps
  const now = await deps.wecom.tags()
  const known = new Map<string, WecomTag>()
  for await (const batch of docs.wecomTags.scan({})) for (const tag of batch) known.set(tag._id, tag)
  const shown = new Set(now.map((t) => t._id))
  const changed = now
    .map((tag): WecomTag => ({ ...tag, state: 'active' }))
    .filter((tag) => JSON.stringify(inOrder(tag)) !== JSON.stringify(inOrder(known.get(tag._id))))
  const deleted = [...known.values()].filter((t) => t.state === 'active' && !shown.has(t._id))
  await docs.wecomTags.put([...changed, ...deleted.map((t): WecomTag => ({ ...t, state: 'deleted' }))])
  const renamed = new Set(changed.filter((t) => known.has(t._id)).map((t) => t._id))
  if (renamed.size === 0) return now.length
  for await (const relations of docs.wecomRelations.scan({ state: { $ne: 'ended' } })) {
    const carrying = relations.filter((r) => r.follow.tagIds.some((id) => renamed.has(id)))
    await retellCustomers(deps, [...new Set(carrying.map((r) => r.externalUserId))], cause)
  }
  return now.length
}

function inOrder(tag: WecomTag | undefined): unknown[] {
  return tag === undefined ? [] : [tag.name, tag.groupId, tag.groupName, tag.state]
}

/** Members, departments, and who has the customer-contact feature. @returns those who serve customers */
export async function mirrorMembers(deps: ServiceDeps): Promise<string[]> {
  const { docs, wecom } = deps
  const serving = new Set(await wecom.servingMembers())
  const departments = await wecom.departments()
  const seen = new Map<string, WecomMember>()
  for (const department of departments) {
    for (const member of await wecom.membersOf(department._id)) {
      const first = seen.get(member._id)
      const departmentIds = [...new Set([...(first?.departmentIds ?? []), ...member.departmentIds, department._id])]
      const _id = member._id
      seen.set(_id, { ...first, ...member, departmentIds, serves: serving.has(_id), state: 'active' })
    }
  }
  for (const _id of serving)
    if (!seen.has(_id)) seen.set(_id, { _id, departmentIds: [], serves: true, state: 'active' })
  await docs.wecomDepartments.put(departments)
  await docs.wecomMembers.put([...seen.values()])
  const ids = departments.map((d) => d._id)
  await docs.wecomDepartments.delete({ _id: { $nin: ids } })
  const left = (await docs.wecomMembers.find({ state: 'active' })).filter((m) => !seen.has(m._id))
  await docs.wecomMembers.put(left.map((m): WecomMember => ({ ...m, serves: false, state: 'left' })))
  return [...serving].sort()
}

/**
 * Groups by their list: new and vanished ones are read, of the others those that `isChosen`, by default all.
 *
 * @returns how many there are
 */
export async function mirrorGroups(
  deps: ServiceDeps,
  cause: string,
  isChosen: (chatId: string) => boolean = () => true,
): Promise<number> {
  const shown = new Set<string>()
  const read = (ids: readonly string[]) => inParallel(ids, READERS, (id) => mirrorGroup(deps, id, cause))
  for await (const ids of deps.wecom.groupIds()) {
    const known = new Set((await deps.docs.wecomGroups.getMany(ids)).map((g) => g._id))
    for (const id of ids) shown.add(id)
    await read(ids.filter((id) => !known.has(id) || isChosen(id)))
  }
  for await (const groups of deps.docs.wecomGroups.scan({ state: 'active' }))
    await read(groups.map((g) => g._id).filter((id) => !shown.has(id)))
  return shown.size
}

/**
 * One group as it is now: who joined and who left since it was last read become events of those customers. `leftAt` is when
 * somebody left, if that is known.
 */
export async function mirrorGroup(deps: ServiceDeps, chatId: string, cause: string, leftAt?: Date): Promise<void> {
  const { docs, wecom } = deps
  const readAt = deps.clock.now()
  const old = await docs.wecomGroups.get(chatId)
  const now = await wecom.group(chatId)
  const group = now === undefined ? old && dismissed(old) : next(old, now)
  if (group === undefined || group === old) return
  await mirrorRelations(deps, { readAt, cause, records: groupRecords(old, group, leftAt ?? readAt, readAt) })
  await docs.wecomGroups.put([group])
}

function dismissed(old: WecomGroup): WecomGroup {
  return old.state === 'dismissed' ? old : { ...old, state: 'dismissed', members: [], revision: old.revision + 1 }
}

function next(old: WecomGroup | undefined, now: GroupNow): WecomGroup {
  if (old === undefined) return { ...now, state: 'active', revision: 1 }
  const content = ({ name, ownerUserId, members }: GroupNow) => JSON.stringify([name, ownerUserId, members])
  if (old.state === 'active' && content(old) === content(now)) return old
  return { ...now, state: 'active', revision: old.revision + 1 }
}

function groupRecords(
  old: WecomGroup | undefined,
  group: WecomGroup,
  leftAt: Date,
  observedAt: Date,
): SourceRecordInput[] {
  const customers = (members: readonly WecomGroupMember[] = []) => members.filter((m) => m.kind === 'customer')
  const stayed = (list: readonly WecomGroupMember[], m: WecomGroupMember) =>
    list.some((other) => other.id === m.id && other.joinedAt.getTime() === m.joinedAt.getTime())
  const told = (m: WecomGroupMember, event: RecordEvent): SourceRecordInput => ({
    ref: event.id,
    source: 'wecom' satisfies OwnSource,
    observedAt,
    identifiers: [
      { type: 'external_userid', value: m.id },
      ...(m.unionId === undefined ? [] : [{ type: 'unionid', value: m.unionId }]),
    ],
    events: [event],
  })
  const key = (m: WecomGroupMember) => `${group._id}:${m.id}:${m.joinedAt.getTime() / 1000}`
  const joined = customers(group.members).filter((m) => !stayed(old?.members ?? [], m))
  const left = customers(old?.members).filter((m) => !stayed(group.members, m))
  return [
    ...joined.map((m) =>
      told(
        m,
        systemEvent('group_joined', {
          id: `wecom:group-join:${key(m)}`,
          occurredAt: m.joinedAt,
          properties: {
            chatId: group._id,
            ...(m.joinScene !== undefined && { joinScene: m.joinScene }),
            ...(m.state !== undefined && { state: m.state }),
          },
        }),
      ),
    ),
    ...left.map((m) =>
      told(
        m,
        systemEvent('group_left', {
          id: `wecom:group-leave:${key(m)}`,
          occurredAt: leftAt,
          properties: { chatId: group._id, ...(group.state === 'dismissed' && { dismissed: true as const }) },
        }),
      ),
    ),
  ]
}
