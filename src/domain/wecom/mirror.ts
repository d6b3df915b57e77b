import { z } from 'zod'
import { Relation, RelationState } from './relation.js'

/** A relation as the platform last showed it. `_id`: `relationId`. Its tags are what WeCom holds, also after our own writes. */
export const WecomRelation = Relation.extend({
  _id: z.string(),
  state: RelationState,
  /** Since when this member counts as owner, when she took the customer over. */
  ownerSince: z.date().optional(),
  /** `relationHash` of what was read. */
  hash: z.string(),
  /** Raised by one with every change of content: keys of what follows from it. */
  revision: z.number(),
  /** When it was read from the platform, or found ended, last; written with changes only. */
  readAt: z.date(),
  /** When it ended (`lost`, `ended`) by the platform's word, or was found ended. */
  endedAt: z.date().optional(),
  /** When she was added again by the platform's word, after it was lost; the time of the relation need not change then. */
  backAt: z.date().optional(),
})
export type WecomRelation = z.infer<typeof WecomRelation>

/** A member of the company, as far as the app may see her. */
export const WecomMember = z.object({
  /** userid */
  _id: z.string(),
  name: z.string().optional(),
  departmentIds: z.array(z.number()),
  /** 1 activated, 2 disabled, 4 not activated, 5 left. */
  status: z.number().optional(),
  /** Has the customer-contact feature. */
  serves: z.boolean(),
  state: z.enum(['active', 'left']),
})
export type WecomMember = z.infer<typeof WecomMember>

export const WecomDepartment = z.object({
  _id: z.number(),
  name: z.string().optional(),
  parentId: z.number().optional(),
})
export type WecomDepartment = z.infer<typeof WecomDepartment>

/** A corp tag. Deleted ones stay, so that their ids keep a name. */
export const WecomTag = z.object({
  /** Tag id. */
  _id: z.string(),
  name: z.string(),
  groupId: z.string(),
  groupName: z.string(),
  state: z.enum(['active', 'deleted']),
})
export type WecomTag = z.infer<typeof WecomTag>

export const WecomGroupMember = z.object({
  /** A userid, or an external_userid. */
  id: z.string(),
  kind: z.enum(['member', 'customer']),
  unionId: z.string().optional(),
  joinedAt: z.date(),
  /** 1 invited directly, 2 by an invite link, 3 by the group's QR code. */
  joinScene: z.number().optional(),
  /** Channel code of the join way. */
  state: z.string().optional(),
})
export type WecomGroupMember = z.infer<typeof WecomGroupMember>

/** A customer group with its members. */
export const WecomGroup = z.object({
  /** chat_id */
  _id: z.string(),
  name: z.string(),
  ownerUserId: z.string(),
  createdAt: z.date(),
  state: z.enum(['active', 'dismissed']),
  members: z.array(WecomGroupMember),
  /** Raised by one with every change. */
  revision: z.number(),
})
export type WecomGroup = z.infer<typeof WecomGroup>
