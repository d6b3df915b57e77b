import { tagIdsOf, type ScenarioContact } from '../scenario.js'
import type { Core } from './core.js'
import type { Relations } from './relations.js'

type Ground = Core & { relations: Relations }

/** Writes the tags that the scenario lists. */
export function fillTags({ state, scenario: { corpTags } }: Core, startAt: Date): void {
  corpTags.forEach((group, i) => {
    const { groupId, tagIds } = tagIdsOf(group)
    const order = corpTags.length - i
    state.run('INSERT INTO tag_group VALUES (?, ?, ?, ?)', groupId, group.name, startAt.getTime(), order)
    group.tags.forEach((tag, j) =>
      state.run(
        'INSERT INTO tag VALUES (?, ?, ?, ?, ?)',
        tagIds[j]!,
        groupId,
        tag.name,
        startAt.getTime(),
        group.tags.length - j,
      ),
    )
  })
}

/** Writes a customer that the scenario lists, and those who have him. What comes after the first day goes into the agenda. */
export function fillContact({ staff, agenda, relations }: Ground, contact: ScenarioContact, startAt: Date): void {
  const { externalUserId, addedAt, deletedAt } = contact
  relations.putContact(contact)
  contact.followUserIds.forEach((id) => {
    const { userId } = staff.known(id)
    const { addWay, state, remarkMobiles, tagIds } = contact
    const data = { userId, externalUserId, addWay, remarkMobiles, tagIds, ...(state === undefined ? {} : { state }) }
    if (addedAt > startAt) agenda.schedule(addedAt, 'add', `${externalUserId}/${userId}`, data)
    else relations.put(data, 'active', addedAt)
    if (deletedAt === undefined) return
    if (deletedAt > startAt)
      agenda.schedule(deletedAt, 'customer_deletes', `${externalUserId}/${userId}`, { userId, externalUserId })
    else relations.setStatus(userId, externalUserId, 'customer_deleted')
  })
}
