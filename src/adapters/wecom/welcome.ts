import type { Calls } from './calls.js'
import type { Attachment } from './mass.js'
import { Nothing } from './wire.js'

/** Welcome messages (新客户欢迎语). */
export function welcomeCalls(calls: Calls) {
  return {
    /** Within 20 s of the callback that carried the code; once (page 92137). */
    async send(welcomeCode: string, text: string, attachments: readonly Attachment[] = []): Promise<void> {
      await calls.act(
        'externalcontact/send_welcome_msg',
        Nothing,
        { welcome_code: welcomeCode, text: { content: text }, attachments },
        { priority: 'welcome' },
      )
    },
  }
}
