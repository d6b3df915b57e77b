/** What a callback tells us; `at` is the platform's time, to the second. Deliveries may repeat and come in any order. */
export type WecomEvent =
  /** Something about this relation changed: read the contact again. Half-added ones cannot be read until the member confirms. */
  | {
      kind: 'contact'
      why: 'added' | 'half_added' | 'edited'
      externalUserId: string
      userId: string
      /** Channel code of the contact way or acquisition link. */
      state?: string
      /** Good for one welcome message within 20 s of `at`. */
      welcomeCode?: string
      at: Date
    }
  /** The relation ended. After a customer left, the member still has her. */
  | {
      kind: 'contact_lost'
      by: 'customer' | 'member' | 'transfer'
      externalUserId: string
      userId: string
      at: Date
    }
  /** She stays with whom she was to be handed over from. `userId` is the member who was to take her. */
  | { kind: 'transfer_failed'; reason: string; externalUserId: string; userId: string; at: Date }
  /** A customer group was made, changed or dissolved: read it again. */
  | { kind: 'group'; change: 'create' | 'update' | 'dismiss'; chatId: string; at: Date }
  /** A corp tag or tag group changed: read them all again. */
  | { kind: 'tags'; change: string; at: Date }
  /** A member joined, changed or left. */
  | { kind: 'member'; change: 'create' | 'update' | 'delete'; userId: string; newUserId?: string; at: Date }
  /** A department changed: read them all again. */
  | { kind: 'department'; at: Date }
  /** Acquisition links (获客助手): of a person, of a link, or of the quota. */
  | {
      kind: 'acquisition'
      change: string
      externalUserId?: string
      userId?: string
      linkId?: string
      state?: string
      at: Date
    }
  /** A member pressed a button of a card. */
  | {
      kind: 'card'
      taskId: string
      key: string
      userId: string
      /** Absent when the card cannot be updated. */
      responseCode?: string
      /** Option ids by question, for cards with choices. */
      selected: Record<string, string[]>
      at: Date
    }
  /** A member chose an entry of the app's menu. */
  | { kind: 'menu'; key: string; userId: string; at: Date }
  /** Nothing we act on, or an event this version does not know. */
  | { kind: 'other'; name: string; at: Date }

export type WecomEventOf<K extends WecomEvent['kind']> = Extract<WecomEvent, { kind: K }>
