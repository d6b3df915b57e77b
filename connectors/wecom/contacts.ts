import { z } from 'zod'
import { parseInput, type Relation } from '../../src/connector.js'

const ExternalContact = z.object({
  external_userid: z.string().min(1).max(64),
  name: z.string().nullish(),
  avatar: z.string().nullish(),
  type: z.number().nullish(),
  gender: z.number().nullish(),
  unionid: z.string().nullish(),
})
const Follow = z.object({
  userid: z.string().min(1).max(64),
  createtime: z.coerce.number().int().nonnegative(),
  remark: z.string().nullish(),
  description: z.string().nullish(),
  remark_mobiles: z.array(z.string()).nullish(),
  oper_userid: z.string().nullish(),
  add_way: z.number().nullish(),
  state: z.string().nullish(),
  /** From details. `type` 1 corp tag, 2 the member's own (no id), 3 of a rule group. */
  tags: z.array(z.object({ tag_id: z.string().nullish(), type: z.number() })).nullish(),
  /** From batches: ids only, the member's own tags left out. */
  tag_id: z.array(z.string()).nullish(),
})

/** A customer with the members who follow her: the answer of `externalcontact/get`. */
export const ContactDetail = z.object({ external_contact: ExternalContact, follow_user: z.array(Follow) })
export type ContactDetail = z.input<typeof ContactDetail>

/** One customer as one member knows her: a row of `externalcontact/batch/get_by_user`. */
export const ContactRow = z.object({ external_contact: ExternalContact, follow_info: Follow })
export type ContactRow = z.input<typeof ContactRow>

/** @throws {InvalidInputError} naming the field that is missing */
export function relationsOf(detail: ContactDetail): Relation[] {
  const { external_contact, follow_user } = parseInput(ContactDetail, detail, 'Not a WeCom contact')
  return follow_user.map((follow) => toRelation(external_contact, follow))
}

/** @throws {InvalidInputError} naming the field that is missing */
export function relationOf(row: ContactRow): Relation {
  const { external_contact, follow_info } = parseInput(ContactRow, row, 'Not a WeCom contact')
  return toRelation(external_contact, follow_info)
}

/** Details and batches of one relation give the same. */
function toRelation(contact: z.infer<typeof ExternalContact>, follow: z.infer<typeof Follow>): Relation {
  const { name, avatar, type, gender, unionid } = contact
  const { remark, description, oper_userid, add_way, state } = follow
  const fromDetails = (follow.tags ?? []).filter((tag) => tag.type !== 2).flatMap((tag) => tag.tag_id ?? [])
  return {
    userId: follow.userid,
    externalUserId: contact.external_userid,
    contact: {
      ...(name && { name }),
      ...(avatar && { avatar }),
      ...(type != null && { type }),
      ...(gender != null && { gender }),
      ...(unionid && { unionId: unionid }),
    },
    follow: {
      addedAt: new Date(follow.createtime * 1000),
      ...(remark && { remark }),
      ...(description && { description }),
      mobiles: (follow.remark_mobiles ?? []).filter((mobile) => mobile !== ''),
      tagIds: [...new Set([...fromDetails, ...(follow.tag_id ?? [])])].sort(),
      ...(add_way != null && { addWay: add_way }),
      ...(state && { state }),
      ...(oper_userid && { operUserId: oper_userid }),
    },
  }
}
