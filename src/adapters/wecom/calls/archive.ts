import { z } from 'zod'
import type { Calls } from './calls.js'
import { checkRequest } from './content.js'
import { List, Text, toDate, UnixSeconds } from './wire.js'

const EDITIONS = { office: 1, service: 2, enterprise: 3 } as const
export type ArchiveEdition = keyof typeof EDITIONS

const Pairs = z
  .array(z.object({ userId: z.string().min(1), externalUserId: z.string().min(1) }))
  .min(1)
  .max(100)
  .readonly()

const MembersReply = z.object({ ids: List(z.string()) })
/** The platform misspells the field; should it ever mend it, both are read. */
const Agreement = z
  .object({ userid: Text, exteranalopenid: Text, externalopenid: Text, agree_status: z.string(), status_change_time: UnixSeconds.optional() })
  .transform((a) => ({ ...a, externalUserId: a.exteranalopenid ?? a.externalopenid }))
  .refine((a) => a.externalUserId !== undefined, 'exteranalopenid is missing') // prettier-ignore
const AgreementsReply = z.object({ agreeinfo: List(Agreement) })
const GroupReply = z.object({
  roomname: Text,
  creator: Text,
  room_create_time: UnixSeconds.optional(),
  notice: Text,
  members: List(z.object({ memberid: z.string(), jointime: UnixSeconds })),
})

export type ArchiveConsent = {
  /** Absent in groups. */
  userId?: string
  externalUserId: string
  /** `default`: archived without having been asked. */
  consent: 'agreed' | 'refused' | 'default' | 'unknown'
  changedAt?: Date
}
const CONSENTS: Readonly<Record<string, ArchiveConsent['consent']>> = {
  Agree: 'agreed',
  Disagree: 'refused',
  Default_Agree: 'default',
}

/**
 * Who is archived and who agreed to it (会话内容存档, page 91774). Wants a client made with the archive's own secret.
 * Messages come through a native library only.
 */
export function archiveCalls(calls: Calls) {
  return {
    /** Members whose chats are archived; of all editions by default. */
    async members(edition?: ArchiveEdition): Promise<string[]> {
      const body = edition === undefined ? {} : { type: EDITIONS[edition] }
      return (await calls.read('msgaudit/get_permit_user_list', MembersReply, body)).ids
    },
    /** @param pairs - at most 100 (301060 beyond) */
    async consents(pairs: readonly { userId: string; externalUserId: string }[]): Promise<ArchiveConsent[]> {
      const info = checkRequest(Pairs, pairs, 'Archive consents').map(({ userId, externalUserId }) => ({
        userid: userId,
        exteranalopenid: externalUserId,
      }))
      const { agreeinfo } = await calls.read('msgaudit/check_single_agree', AgreementsReply, { info })
      return agreeinfo.map(toConsent)
    },
    /** Of the customers in a group. */
    async groupConsents(chatId: string): Promise<ArchiveConsent[]> {
      const { agreeinfo } = await calls.read('msgaudit/check_room_agree', AgreementsReply, { roomid: chatId })
      return agreeinfo.map(toConsent)
    },
    /** Of a group without customers. @throws {WecomError} 301059 for others */
    async group(chatId: string): Promise<{
      name?: string
      creator?: string
      notice?: string
      createdAt?: Date
      members: { userId: string; joinedAt: Date }[]
    }> {
      const reply = await calls.read('msgaudit/groupchat/get', GroupReply, { roomid: chatId })
      const createdAt = toDate(reply.room_create_time)
      return {
        ...(reply.roomname !== undefined && { name: reply.roomname }),
        ...(reply.creator !== undefined && { creator: reply.creator }),
        ...(reply.notice !== undefined && { notice: reply.notice }),
        ...(createdAt !== undefined && { createdAt }),
        members: reply.members.map((m) => ({ userId: m.memberid, joinedAt: new Date(m.jointime * 1000) })),
      }
    },
  }
}

function toConsent({
  userid,
  externalUserId,
  agree_status,
  status_change_time,
}: z.infer<typeof Agreement>): ArchiveConsent {
  const changedAt = toDate(status_change_time)
  return {
    ...(userid !== undefined && { userId: userid }),
    externalUserId: externalUserId!, // the schema refuses a reply without it
    consent: CONSENTS[agree_status] ?? 'unknown',
    ...(changedAt !== undefined && { changedAt }),
  }
}
