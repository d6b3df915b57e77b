import { hashKey } from '../../src/random.js'

export type MessageLink = { title: string; url: string; description?: string }
export type Content = { text: string; link?: MessageLink; attachments: readonly unknown[] }

export type Message = {
  /** `group`: to a chat, whose id is in `externalUserId`. */
  kind: 'mass' | 'group' | 'welcome'
  msgid: string
  userId: string
  externalUserId: string
  content: Content
  contentHash: string
  /** When the app made the request. */
  createdMs: number
}

/** What is known of a message while its customer has not read it. */
export type Unread = { seq: number; msgid: string; userId: string; externalUserId: string; contentHash: string; sentMs: number; hasLink: boolean } // prettier-ignore
/** A message that was read, and who sent it. */
export type Answered = { seq: number; msgid: string; userId: string; externalUserId: string }

/** The same text and link give the same hash, whoever computes it. */
export function contentHashOf(text: string, url = ''): string {
  return hashKey(32, text, url)
}

/** A message's id follows from what it is, so it need not be stored. */
export function messageIdOf(msgid: string, userId: string, externalUserId: string): string {
  return hashKey(32, 'message', msgid, userId, externalUserId)
}
