import { z } from 'zod'
import type { Calls } from './calls.js'
import { Nothing, Text, UserIds } from './wire.js'

const MessageReply = z.object({ msgid: Text, response_code: Text, invaliduser: UserIds })
const CardUpdateReply = z.object({ invaliduser: UserIds })

export type AppMessage = {
  toUsers: readonly string[]
  content:
    | { msgtype: 'text'; text: { content: string } }
    | { msgtype: 'template_card'; template_card: Record<string, unknown> }
  /** The same request within this many seconds (at most 14,400) succeeds without being delivered again. */
  duplicateCheckSeconds?: number
}

/** Messages of the app to members (应用消息). */
export function appMessageCalls(calls: Calls, agentId: number) {
  return {
    /**
     * Heed `APP_MESSAGES_PER_MEMBER`: what goes beyond is dropped silently. `invalid` userids are in lower case (page
     * 90236).
     */
    async send({
      toUsers,
      content,
      duplicateCheckSeconds,
    }: AppMessage): Promise<{ msgId?: string; responseCode?: string; invalid: string[] }> {
      const { msgid, response_code, invaliduser } = await calls.act(
        'message/send',
        MessageReply,
        {
          touser: toUsers.join('|'),
          agentid: agentId,
          ...content,
          ...(duplicateCheckSeconds !== undefined && {
            enable_duplicate_check: 1,
            duplicate_check_interval: duplicateCheckSeconds,
          }),
        },
        { priority: 'send' },
      )
      return {
        invalid: invaliduser,
        ...(msgid !== undefined && { msgId: msgid }),
        ...(response_code !== undefined && { responseCode: response_code }),
      }
    },
    /** Greys the button of a card, with this text (page 94888). */
    async updateButton(userId: string, responseCode: string, text: string): Promise<void> {
      await calls.act('message/update_template_card', CardUpdateReply, {
        userids: [userId],
        agentid: agentId,
        response_code: responseCode,
        button: { replace_name: text },
      })
    },
    /** Within 24 h (page 94867). */
    async recall(msgId: string): Promise<void> {
      await calls.read('message/recall', Nothing, { msgid: msgId }) // twice is once
    },
  }
}
