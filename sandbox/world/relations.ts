import type { XmlFields } from '../xml.js'
import type { Adding } from './agenda.js'
import type { Codes } from './codes.js'
import type { Core } from './core.js'

/** `half`: the customer has added a member who has not added him back; the APIs answer 84061 as if there were nothing. */
export type RelationStatus = 'half' | 'active' | 'customer_deleted' | 'member_deleted'
export type Relation = {
  userId: string
  externalUserId: string
  status: RelationStatus
  createdAt: Date
  addWay: number
  state?: string
  remark: string
  remarkMobiles: string[]
  tagIds: string[]
}

type RelationRow = {
  status: RelationStatus
  created_ms: number
  add_way: number
  state: string | null
  remark: string
  remark_mobiles: string
}

/**
 * Who has whom, with which remark and tags. What is done here is what people do in their clients, so it calls back
 * (`change_external_contact`, page 92130) where nothing else is said; all inside the caller's transaction.
 */
export class Relations {
  constructor(
    private readonly core: Core,
    private readonly codes: Codes,
  ) {}

  get(userId: string, externalUserId: string): Relation | undefined {
    const { state } = this.core
    const row = state.get<RelationRow>(
      'SELECT * FROM relation WHERE user_id = ? AND external_user_id = ?',
      userId,
      externalUserId,
    )
    if (row === undefined) return undefined
    const tags = state.all<{ tag_id: string }>(
      'SELECT tag_id FROM relation_tag WHERE user_id = ? AND external_user_id = ? ORDER BY tag_id',
      userId,
      externalUserId,
    )
    return {
      userId,
      externalUserId,
      status: row.status,
      createdAt: new Date(row.created_ms),
      addWay: row.add_way,
      ...(row.state === null ? {} : { state: row.state }),
      remark: row.remark,
      remarkMobiles: JSON.parse(row.remark_mobiles) as string[],
      tagIds: tags.map((t) => t.tag_id),
    }
  }

  status(userId: string, externalUserId: string): RelationStatus | undefined {
    return this.core.state.get<{ status: RelationStatus }>(
      'SELECT status FROM relation WHERE user_id = ? AND external_user_id = ?',
      userId,
      externalUserId,
    )?.status
  }

  /** The member who has had him longest, of those who still have him. */
  ownerOf(externalUserId: string): string | undefined {
    return this.core.state.get<{ user_id: string }>(
      `SELECT user_id FROM relation WHERE external_user_id = ? AND status = 'active' ORDER BY created_ms, user_id LIMIT 1`,
      externalUserId,
    )?.user_id
  }

  /** A member and a customer become friends, now. @returns whether they were not yet. */
  add(data: Adding, at: Date): boolean {
    const { userId, externalUserId } = data
    const before = this.status(userId, externalUserId)
    if (before === 'active') return false
    this.put(data, 'active', at)
    this.core.happened(at, 'added', userId, externalUserId)
    // Who came half-way has the code of that event.
    const code = before === 'half' ? undefined : this.codes.issueWelcome(userId, externalUserId, at)
    this.raise('add_external_contact', userId, externalUserId, at, { State: data.state, WelcomeCode: code })
    return true
  }

  /** The customer adds a member who lets everybody in and has not added him back (page 92130). `add` completes it. */
  addHalf(data: Adding, at: Date): boolean {
    const { userId, externalUserId } = data
    const before = this.status(userId, externalUserId)
    if (before === 'active' || before === 'half') return false
    this.put(data, 'half', at)
    this.core.happened(at, 'half_added', userId, externalUserId)
    const code = this.codes.issueWelcome(userId, externalUserId, at)
    this.raise('add_half_external_contact', userId, externalUserId, at, { State: data.state, WelcomeCode: code })
    return true
  }

  /** @returns whether there was something to delete. */
  delete(userId: string, externalUserId: string, by: 'customer' | 'member', at: Date): boolean {
    const status = this.status(userId, externalUserId)
    if (status === undefined || status === 'member_deleted' || (by === 'customer' && status === 'customer_deleted'))
      return false
    this.setStatus(userId, externalUserId, by === 'customer' ? 'customer_deleted' : 'member_deleted', at)
    this.core.happened(at, by === 'customer' ? 'customer_deleted' : 'member_deleted', userId, externalUserId)
    this.raise(by === 'customer' ? 'del_follow_user' : 'del_external_contact', userId, externalUserId, at)
    return true
  }

  /** What a member does in her client, as opposed to an API write: it calls back. */
  edit(
    userId: string,
    externalUserId: string,
    edit: { remark?: string; addTags: string[]; removeTags: string[] },
    at: Date,
  ): boolean {
    const { state } = this.core
    const status = this.status(userId, externalUserId)
    if (status === undefined || status === 'member_deleted' || status === 'half') return false
    if (edit.remark !== undefined) {
      state.run(
        'UPDATE relation SET remark = ? WHERE user_id = ? AND external_user_id = ?',
        edit.remark,
        userId,
        externalUserId,
      )
    }
    for (const tagId of edit.addTags)
      state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, externalUserId, tagId)
    for (const tagId of edit.removeTags) {
      state.run(
        'DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ? AND tag_id = ?',
        userId,
        externalUserId,
        tagId,
      )
    }
    this.core.happened(at, 'edited', userId, externalUserId)
    this.raise('edit_external_contact', userId, externalUserId, at)
    return true
  }

  /** Another member has the customer as well, with the remark and tags of the first. Calls nobody back. */
  copy(from: Relation, userId: string, at: Date): void {
    const { externalUserId, addWay, state, remark, remarkMobiles, tagIds } = from
    const data = { userId, externalUserId, addWay, remarkMobiles, tagIds, ...(state === undefined ? {} : { state }) }
    this.put(data, 'active', at, remark)
  }

  /** The relation is gone for the APIs. Calls nobody back. */
  end(userId: string, externalUserId: string): void {
    this.setStatus(userId, externalUserId, 'member_deleted')
  }

  /** A customer, whoever has him. Calls nobody back. */
  putContact(contact: { externalUserId: string; unionId?: string | undefined; name: string; gender: number }): void {
    const { externalUserId, unionId, name, gender } = contact
    this.core.state.run(
      'INSERT OR IGNORE INTO contact VALUES (?, ?, ?, ?)',
      externalUserId,
      unionId ?? null,
      name,
      gender,
    )
  }

  /** Writes a relation as it is; calls nobody back. @param remark - default: the customer's name */
  put(data: Adding, status: RelationStatus, at: Date, remark?: string): void {
    const { state } = this.core
    const { userId, externalUserId, addWay, remarkMobiles, tagIds } = data
    const name =
      remark ?? state.get<{ name: string }>('SELECT name FROM contact WHERE external_user_id = ?', externalUserId)!.name
    state.run(
      `INSERT OR REPLACE INTO relation (user_id, external_user_id, status, created_ms, last_ms, add_way, state, remark, remark_mobiles)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      userId, externalUserId, status, at.getTime(), at.getTime(), addWay, data.state ?? null, name, JSON.stringify(remarkMobiles),
    ) // prettier-ignore
    state.run('DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ?', userId, externalUserId)
    for (const tagId of tagIds)
      state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, externalUserId, tagId)
  }

  /** Calls nobody back. @param at - given: the last that happened between the two */
  setStatus(userId: string, externalUserId: string, status: RelationStatus, at?: Date): void {
    this.core.state.run(
      'UPDATE relation SET status = ?, last_ms = coalesce(?, last_ms) WHERE user_id = ? AND external_user_id = ?',
      status,
      at?.getTime() ?? null,
      userId,
      externalUserId,
    )
  }

  /** An event of `change_external_contact` (page 92130). */
  raise(changeType: string, userId: string, externalUserId: string, at: Date, more: XmlFields = {}): void {
    this.core.raise(at, {
      Event: 'change_external_contact',
      ChangeType: changeType,
      UserID: userId,
      ExternalUserID: externalUserId,
      ...more,
    })
  }
}
