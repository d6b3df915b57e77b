import type { Relation, RelationState } from './relation.js'

/** A relation as the platform last showed it. `_id`: `relationId`. Its tags are what WeCom holds, also after our own writes. */
export type WecomRelation = Relation & {
  _id: string
  state: RelationState
  /** Since when this member counts as owner, when she took the customer over. */
  ownerSince?: Date
  /** `relationHash` of what was read. */
  hash: string
  /** Raised by one with every change of content: keys of what follows from it. */
  revision: number
  /** When it was read from the platform, or found ended, last; written with changes only. */
  readAt: Date
  /** When it ended (`lost`, `ended`) by the platform's word, or was found ended. */
  endedAt?: Date
  /** When she was added again by the platform's word, after it was lost; the time of the relation need not change then. */
  backAt?: Date
}

/** A member of the company, as far as the app may see her. */
export type WecomMember = {
  /** userid */
  _id: string
  name?: string
  departmentIds: number[]
  /** 1 activated, 2 disabled, 4 not activated, 5 left. */
  status?: number
  /** Has the customer-contact feature. */
  serves: boolean
  state: 'active' | 'left'
}

export type WecomDepartment = { _id: number; name?: string; parentId?: number }

/** A corp tag. Deleted ones stay, so that their ids keep a name. */
export type WecomTag = {
  /** Tag id. */
  _id: string
  name: string
  groupId: string
  groupName: string
  state: 'active' | 'deleted'
}

/** A customer group with its members. */
export type WecomGroup = {
  /** chat_id */
  _id: string
  name: string
  ownerUserId: string
  createdAt: Date
  state: 'active' | 'dismissed'
  members: WecomGroupMember[]
  /** Raised by one with every change. */
  revision: number
}

export type WecomGroupMember = {
  /** A userid, or an external_userid. */
  id: string
  kind: 'member' | 'customer'
  unionId?: string
  joinedAt: Date
  /** 1 invited directly, 2 by an invite link, 3 by the group's QR code. */
  joinScene?: number
  /** Channel code of the join way. */
  state?: string
}
