/** A person as a bot sees her. */
export type ChatPerson = {
  /** Means something to this puppet only. */
  contactId: string
  /** A colleague of the bot's account: no customer. */
  isCoworker: boolean
  name?: string
  /** Where the puppet gives it. */
  externalUserId?: string
  tags?: readonly string[]
}

export type ChatRoom = { id: string; topic?: string }

/** Something a bot saw. `id` is the same however often it is seen. */
export type ChatSighting = {
  id: string
  at: Date
  /** Short name of the puppet: contact ids are unique below it. */
  puppet: string
  /** The account that the bot works with. */
  botId: string
} & (
  | {
      kind: 'message'
      /** The customer who wrote or was written to. */
      person: ChatPerson
      from: 'customer' | 'guide'
      /** `text`, `image`, `voice` … */
      type: string
      text: string
      room?: ChatRoom
    }
  | { kind: 'friendship'; person: ChatPerson; change: 'requested' | 'added' | 'removed' }
  | { kind: 'room'; person: ChatPerson; change: 'joined' | 'left' | 'renamed'; room: ChatRoom }
)

export type ChatBotState = 'starting' | 'waiting_for_scan' | 'signed_in' | 'signed_out' | 'stopped'

export interface ChatBot {
  /** Ends it, and resolves when nothing more will be seen. May be called twice. */
  close(): Promise<void>
}
