import { z } from 'zod'
import { ChatContent } from './app-messages.js'
import type { Calls } from './calls.js'
import { Characters, checkRequest } from './content.js'
import { List, Nothing, Text } from './wire.js'

/** Page 90244. */
const NewChat = z.object({
  /** Of letters and digits, at most 32; default chosen by the platform. */
  chatId: z
    .string()
    .regex(/^[0-9a-zA-Z]{1,32}$/, '1–32 letters and digits')
    .optional(),
  name: Characters(50).optional(),
  /** One of `userIds`; default any. */
  owner: z.string().min(1).optional(),
  userIds: z.array(z.string()).min(2).max(2_000).readonly(),
})
export type NewAppChat = z.input<typeof NewChat>

const ChatChange = z.object({
  name: Characters(50).optional(),
  owner: z.string().min(1).optional(),
  addUserIds: z.array(z.string()).readonly().optional(),
  removeUserIds: z.array(z.string()).readonly().optional(),
})
export type AppChatChange = z.input<typeof ChatChange>

const CreatedReply = z.object({ chatid: z.string().min(1) })
const ChatReply = z.object({
  chat_info: z.object({ chatid: z.string().min(1), name: Text, owner: Text, userlist: List(z.string()) }),
})

/**
 * Groups of members that the app makes itself (应用推送消息到群聊会话); the app must see the root department. A new group stays
 * invisible until its first message.
 */
export function appChatCalls(calls: Calls) {
  return {
    /** At most 1,000 a day in the company (page 90244). @returns the group's id */
    async create(chat: NewAppChat): Promise<string> {
      const { chatId, name, owner, userIds } = checkRequest(NewChat, chat, 'App chat')
      const body = { chatid: chatId, name, owner, userlist: userIds }
      return (await calls.act('appchat/create', CreatedReply, body)).chatid
    },
    /** At most 1,000 an hour in the company (page 90245). */
    async update(chatId: string, change: AppChatChange): Promise<void> {
      const { name, owner, addUserIds, removeUserIds } = checkRequest(ChatChange, change, 'App chat')
      const body = { chatid: chatId, name, owner, add_user_list: addUserIds, del_user_list: removeUserIds }
      await calls.act('appchat/update', Nothing, body)
    },
    async get(chatId: string): Promise<{ chatId: string; name?: string; owner?: string; userIds: string[] }> {
      const { chatid, name, owner, userlist } = (await calls.get('appchat/get', ChatReply, { chatid: chatId }))
        .chat_info
      return { chatId: chatid, ...(name && { name }), ...(owner && { owner }), userIds: userlist }
    },
    /**
     * 20,000 person-times a minute and 300,000 an hour in the company; a member gets at most 200 a minute and 10,000 a day
     * of one app, what goes beyond is dropped silently (pages 90248, 90454).
     */
    async send(chatId: string, content: ChatContent, isConfidential = false): Promise<void> {
      const body = { chatid: chatId, ...checkRequest(ChatContent, content, 'App chat message') }
      await calls.act('appchat/send', Nothing, { ...body, safe: isConfidential ? 1 : 0 }, { priority: 'send' })
    },
  }
}
