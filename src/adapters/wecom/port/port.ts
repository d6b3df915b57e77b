import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { WecomGroupMember } from '../../../domain/wecom/mirror.js'
import { UnknownOutcomeError, UpstreamError } from '../../../errors.js'
import type { WecomPort, WelcomeAttachment, WelcomeOutcome } from '../../../ports/wecom.js'
import { closeCard } from '../channels/task.js'
import { parseMessage } from '../transport/callback.js'
import type { WecomClient } from '../client.js'
import { WecomError } from '../transport/error-codes.js'
import type { Group, GroupMember } from '../calls/groups.js'
import type { Attachment } from '../calls/mass.js'
import { readCallbackEvent } from './callback-event.js'
import { relationOf, relationsOf } from './relations.js'

const EXPIRED_CURSOR = 50100

export function createWecomPort(client: WecomClient): WecomPort {
  const inSync = client.as('sync')
  const contactsFor = { sync: inSync.contacts, callback: client.as('callback').contacts }
  return {
    readEvent: (message) => readCallbackEvent(parseMessage(message)),
    servingMembers: () => inSync.contacts.followUsers(),
    async relationPage(userIds, cursor) {
      try {
        const { rows, next } = await inSync.contacts.page(userIds, cursor)
        return { relations: rows.map((row) => relationOf(row)), ...(next !== undefined && { next }) }
      } catch (err) {
        if (err instanceof WecomError && err.errcode === EXPIRED_CURSOR) return 'expired'
        throw err
      }
    },
    customersOf: (userId) => inSync.contacts.list(userId),
    async relationsOf(externalUserId, priority) {
      const detail = await contactsFor[priority].get(externalUserId)
      return detail === undefined ? [] : relationsOf(detail)
    },
    async departments() {
      return (await inSync.members.departments()).map(({ id, name, parentid }) => ({
        _id: id,
        ...(name !== undefined && { name }),
        ...(parentid !== undefined && { parentId: parentid }),
      }))
    },
    async membersOf(departmentId) {
      return (await inSync.members.list(departmentId)).map(({ userid, name, department, status }) => ({
        _id: userid,
        departmentIds: department,
        ...(name !== undefined && { name }),
        ...(status !== undefined && { status }),
      }))
    },
    async tags() {
      return (await inSync.tags.list()).flatMap(({ group_id: groupId, group_name: groupName, tag }) =>
        tag.filter((t) => !t.deleted).map(({ id, name }) => ({ _id: id, name, groupId, groupName })),
      )
    },
    async *groupIds() {
      for await (const rows of inSync.groups.list()) yield rows.map((row) => row.chat_id)
    },
    async group(chatId) {
      const group = await inSync.groups.get(chatId)
      return group === undefined ? undefined : toGroup(group)
    },
    async sendWelcome(code, text, attachments) {
      try {
        await client.welcome.send(code, text, attachments.map(toWire))
        return { kind: 'sent' }
      } catch (err) {
        return toOutcome(err)
      }
    },
    uploadImage: async (file) => client.media.upload('image', basename(file), new Uint8Array(await readFile(file))),
    async tell(userId, text) {
      await client.messages.send({ toUsers: [userId], content: { msgtype: 'text', text: { content: text } } })
    },
    closeCard: (card) => closeCard(client, card),
  }
}

function toGroup({ chat_id, name, owner, create_time, member_list }: Group) {
  return {
    _id: chat_id,
    name: name ?? '',
    ownerUserId: owner,
    createdAt: new Date(create_time * 1000),
    members: member_list.map(toGroupMember).sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}

function toGroupMember({ userid, type, unionid, join_time, join_scene, state }: GroupMember): WecomGroupMember {
  return {
    id: userid,
    kind: type === 1 ? 'member' : 'customer',
    joinedAt: new Date(join_time * 1000),
    ...(unionid !== undefined && { unionId: unionid }),
    ...(join_scene !== undefined && { joinScene: join_scene }),
    ...(state !== undefined && { state }),
  }
}

function toWire(attachment: WelcomeAttachment): Attachment {
  switch (attachment.kind) {
    case 'link': {
      const { title, url, description, imageUrl } = attachment
      const link = { title, url, ...(description && { desc: description }), ...(imageUrl && { picurl: imageUrl }) }
      return { msgtype: 'link', link }
    }
    case 'miniprogram': {
      const { title, appId, page, imageMediaId } = attachment
      return { msgtype: 'miniprogram', miniprogram: { title, appid: appId, page, pic_media_id: imageMediaId } }
    }
    case 'image':
      return {
        msgtype: 'image',
        image: 'url' in attachment ? { pic_url: attachment.url } : { media_id: attachment.mediaId },
      }
  }
}

/** @see developer.work.weixin.qq.com/document/path/92137 (read 2026-08), and staff answers on 41051 and 41096 */
function toOutcome(err: unknown): WelcomeOutcome {
  if (err instanceof UnknownOutcomeError) return { kind: 'unknown', reason: 'no_answer' }
  if (err instanceof WecomError) {
    if (err.errcode === 41050) return { kind: 'expired' }
    if (err.errcode === 41051) return { kind: 'delivered_before' }
    const reason = `errcode_${err.errcode}`
    return err.meaning === 'slow_down' ? { kind: 'again', reason } : { kind: 'refused', reason }
  }
  if (err instanceof UpstreamError && err.retryable) return { kind: 'again', reason: 'not_reached' }
  throw err
}
