import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Nothing, Text, toUnixSeconds } from './wire.js'

/** In one contact way, departments expanded; groups in one join way. @see document/path/92228 and 92229 (read 2026-08) */
export const WAY_MAX = { users: 100, stateCharacters: 30, remarkCharacters: 30, groups: 5 } as const

const CreatedReply = z.object({ config_id: z.string().min(1), qr_code: Text })
const Conclusions = z.object({
  text: z.object({ content: z.string() }).nullish(),
  /** Comes back as `pic_url`, goes as `media_id`. */
  image: z.object({ media_id: Text, pic_url: Text }).nullish(),
  link: z.object({ title: z.string(), picurl: Text, desc: Text, url: z.string() }).nullish(),
  miniprogram: z.object({ title: z.string(), pic_media_id: Text, appid: z.string(), page: z.string() }).nullish(),
})
const ContactWayReply = z.object({
  contact_way: z.object({
    config_id: z.string().min(1),
    type: z.number(),
    scene: z.number(),
    style: z.number().optional(),
    remark: Text,
    skip_verify: z.boolean().default(true),
    state: Text,
    qr_code: Text,
    user: List(z.string()),
    party: List(z.number()),
    is_temp: z.boolean().default(false),
    expires_in: z.number().optional(),
    chat_expires_in: z.number().optional(),
    unionid: Text,
    is_exclusive: z.boolean().optional(),
    conclusions: Conclusions.nullish(),
  }),
})
const ContactWayIdsReply = z.object({
  contact_way: List(z.object({ config_id: z.string().min(1) })),
  next_cursor: Cursor,
})
const JoinWayReply = z.object({
  join_way: z.object({
    config_id: z.string().min(1),
    scene: z.number(),
    remark: Text,
    auto_create_room: z.number().default(1),
    room_base_name: Text,
    room_base_id: z.number().nullish(),
    chat_id_list: List(z.string()),
    qr_code: Text,
    state: Text,
  }),
})

export type Conclusions = {
  text?: { content: string }
  image?: { media_id: string }
  link?: { title: string; url: string; desc?: string; picurl?: string }
  miniprogram?: { title: string; pic_media_id: string; appid: string; page: string }
}

/** What may change once it is made. */
export type ContactWayFields = {
  /** A memo for the company; at most 30 characters. */
  remark?: string
  /** False: the member must agree to each customer. Default true. */
  skipVerify?: boolean
  /** Comes back in the add event and in the contact's details; at most 30 characters. */
  state?: string
  /** Exactly one for a way of one member. */
  userIds?: readonly string[]
  departmentIds?: readonly number[]
  /** Only for temporary sessions: seconds, at most 14 days. */
  expiresInSeconds?: number
  chatExpiresInSeconds?: number
  /** Only for temporary sessions: this WeChat user alone may use it. */
  unionId?: string
  /** Only for temporary sessions: sent when the chat ends. */
  conclusions?: Conclusions
}
export type ContactWay = ContactWayFields & {
  kind: 'single' | 'multi'
  scene: 'mini_program' | 'qr_code'
  /** How the mini program's widget looks. */
  style?: number
  isTemporary?: boolean
  /** Customers of one other company always meet the same member. */
  isExclusive?: boolean
}
export type ContactWayFound = Omit<ContactWay, 'conclusions'> & {
  configId: string
  /** Only for scene `qr_code`. */
  qrCode?: string
  /** Told apart from what was sent: pictures come back as addresses. */
  conclusions?: z.infer<typeof Conclusions>
}

/** Contact ways (「联系我」, live codes): QR codes that lead to members. Seen by nobody in the admin pages: keep the ids. */
export function contactWayCalls(calls: Calls) {
  return {
    /** (page 92228) @throws {WecomError} 41041 more than 100 members, 41045 too many ways, 41054 a member is not activated */
    async create(way: ContactWay): Promise<{ configId: string; qrCode?: string }> {
      const { kind, scene, style, isTemporary, isExclusive, ...fields } = way
      const { config_id, qr_code } = await calls.act('externalcontact/add_contact_way', CreatedReply, {
        type: kind === 'single' ? 1 : 2,
        scene: scene === 'mini_program' ? 1 : 2,
        style,
        is_temp: isTemporary,
        is_exclusive: isExclusive,
        ...toWire(fields),
      })
      return { configId: config_id, ...(qr_code !== undefined && { qrCode: qr_code }) }
    },
    /** `undefined` when there is none (any more). */
    async get(configId: string): Promise<ContactWayFound | undefined> {
      const asked = calls.read('externalcontact/get_contact_way', ContactWayReply, { config_id: configId })
      const way = (await calls.unless(['already_done'], asked))?.contact_way
      return way === undefined ? undefined : toContactWay(way)
    },
    /** Ids of the ways made by API in [from, to], temporary ones left out. */
    list: (from: Date, to: Date): AsyncIterable<string[]> =>
      calls.pages(
        'externalcontact/list_contact_way',
        ContactWayIdsReply,
        { start_time: toUnixSeconds(from), end_time: toUnixSeconds(to), limit: 1_000 },
        (page) => ({ items: page.contact_way.map((way) => way.config_id), next: page.next_cursor }),
      ),
    /** Fields that are left out stay as they are; kind, scene and the temporary mode cannot change. */
    async update(configId: string, fields: ContactWayFields): Promise<void> {
      await calls.put('externalcontact/update_contact_way', Nothing, { config_id: configId, ...toWire(fields) })
    },
    async delete(configId: string): Promise<void> {
      await calls.act('externalcontact/del_contact_way', Nothing, { config_id: configId })
    },
    /** Ends a temporary session; its conclusion is sent first. */
    async closeTemporaryChat(userId: string, externalUserId: string): Promise<void> {
      const body = { userid: userId, external_userid: externalUserId }
      await calls.act('externalcontact/close_temp_chat', Nothing, body)
    },
  }
}

export type JoinWay = {
  scene: 'mini_program' | 'qr_code'
  /** Cut after 30 characters. */
  remark?: string
  /** A new group is made when the last one is full. Default true. */
  createsGroups?: boolean
  /** New groups are called this and a number. At most 40 characters. */
  groupBaseName?: string
  groupBaseNumber?: number
  /** 1–5. */
  chatIds: readonly string[]
  /** At most 30 characters. */
  state?: string
}
export type JoinWayFound = JoinWay & { configId: string; qrCode?: string }

/** Join ways (客户群「加入群聊」): QR codes that lead into groups. */
export function joinWayCalls(calls: Calls) {
  const path = 'externalcontact/groupchat'
  return {
    /** (page 92229) @throws {WecomError} 41091 more than 5 groups */
    async create(way: JoinWay): Promise<string> {
      return (await calls.act(`${path}/add_join_way`, CreatedReply, toJoinWire(way))).config_id
    },
    /** `undefined` when there is none (any more). */
    async get(configId: string): Promise<JoinWayFound | undefined> {
      const asked = calls.read(`${path}/get_join_way`, JoinWayReply, { config_id: configId })
      const way = (await calls.unless(['already_done'], asked))?.join_way
      return way === undefined ? undefined : toJoinWay(way)
    },
    /** Replaces everything: what is left out returns to its default. */
    async update(configId: string, way: JoinWay): Promise<void> {
      await calls.put(`${path}/update_join_way`, Nothing, { config_id: configId, ...toJoinWire(way) })
    },
    async delete(configId: string): Promise<void> {
      await calls.act(`${path}/del_join_way`, Nothing, { config_id: configId })
    },
  }
}

/** Keys that are undefined do not travel, so they stay as they are. */
function toWire(fields: ContactWayFields): Record<string, unknown> {
  return {
    remark: fields.remark,
    skip_verify: fields.skipVerify,
    state: fields.state,
    user: fields.userIds,
    party: fields.departmentIds,
    expires_in: fields.expiresInSeconds,
    chat_expires_in: fields.chatExpiresInSeconds,
    unionid: fields.unionId,
    conclusions: fields.conclusions,
  }
}

function toContactWay(way: z.infer<typeof ContactWayReply>['contact_way']): ContactWayFound {
  return {
    configId: way.config_id,
    kind: way.type === 1 ? 'single' : 'multi',
    scene: way.scene === 1 ? 'mini_program' : 'qr_code',
    skipVerify: way.skip_verify,
    userIds: way.user,
    departmentIds: way.party,
    isTemporary: way.is_temp,
    ...(way.qr_code !== undefined && { qrCode: way.qr_code }),
    ...(way.style !== undefined && { style: way.style }),
    ...(way.remark !== undefined && { remark: way.remark }),
    ...(way.state !== undefined && { state: way.state }),
    ...(way.is_exclusive !== undefined && { isExclusive: way.is_exclusive }),
    ...(way.is_temp && way.expires_in !== undefined && { expiresInSeconds: way.expires_in }),
    ...(way.is_temp && way.chat_expires_in !== undefined && { chatExpiresInSeconds: way.chat_expires_in }),
    ...(way.unionid !== undefined && { unionId: way.unionid }),
    ...(way.conclusions != null && { conclusions: way.conclusions }),
  }
}

function toJoinWire(way: JoinWay): Record<string, unknown> {
  return {
    scene: way.scene === 'mini_program' ? 1 : 2,
    remark: way.remark,
    auto_create_room: way.createsGroups === false ? 0 : 1,
    room_base_name: way.groupBaseName,
    room_base_id: way.groupBaseNumber,
    chat_id_list: way.chatIds,
    state: way.state,
  }
}

function toJoinWay(way: z.infer<typeof JoinWayReply>['join_way']): JoinWayFound {
  return {
    configId: way.config_id,
    // The documentation's own sample says 3.
    scene: way.scene === 1 ? 'mini_program' : 'qr_code',
    createsGroups: way.auto_create_room === 1,
    chatIds: way.chat_id_list,
    ...(way.remark !== undefined && { remark: way.remark }),
    ...(way.room_base_name !== undefined && { groupBaseName: way.room_base_name }),
    ...(way.room_base_id != null && { groupBaseNumber: way.room_base_id }),
    ...(way.qr_code !== undefined && { qrCode: way.qr_code }),
    ...(way.state !== undefined && { state: way.state }),
  }
}
