import type { Relation } from '../../../domain/wecom/relation.js'
import type { ContactDetail, ContactRow } from '../calls/contacts.js'

/** One relation for each member who follows the customer. */
export function relationsOf({ external_contact, follow_user }: ContactDetail): Relation[] {
  return follow_user.map((follow) => toRelation(external_contact, follow))
}

export function relationOf({ external_contact, follow_info }: ContactRow): Relation {
  return toRelation(external_contact, follow_info)
}

/** Details and batches of one relation give the same. */
function toRelation(contact: ContactRow['external_contact'], follow: ContactRow['follow_info']): Relation {
  const { name, avatar, type, gender, unionid } = contact
  const { remark, description, oper_userid, add_way, state } = follow
  // The member's own tags (type 2) are not the company's.
  const fromDetails = follow.tags.filter((tag) => tag.type !== 2).flatMap((tag) => tag.tag_id ?? [])
  return {
    userId: follow.userid,
    externalUserId: contact.external_userid,
    contact: {
      ...(name && { name }),
      ...(avatar && { avatar }),
      ...(type !== undefined && { type }),
      ...(gender !== undefined && { gender }),
      ...(unionid && { unionId: unionid }),
    },
    follow: {
      addedAt: new Date(follow.createtime * 1000),
      ...(remark && { remark }),
      ...(description && { description }),
      mobiles: follow.remark_mobiles.filter((mobile) => mobile !== ''),
      tagIds: [...new Set([...fromDetails, ...follow.tag_id])].sort(),
      ...(add_way !== undefined && { addWay: add_way }),
      ...(state && { state }),
      ...(oper_userid && { operUserId: oper_userid }),
    },
  }
}
