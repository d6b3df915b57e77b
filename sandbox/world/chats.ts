import { hashKey } from '../../src/random.js'
import type { XmlFields } from '../xml.js'
import type { Core } from './core.js'

/** `groupchat/get`, join_scene (page 92122): 1 invited, 2 by an invitation link, 3 by a QR code. */
export type JoinScene = 1 | 2 | 3
/** `groupchat/list`, status (page 92120): 0 normal, 1 the owner has left, 2 being inherited, 3 inherited. */
export type ChatStatus = 0 | 1 | 2 | 3
/** Page 92130, QuitScene: 0 left, 1 was removed. */
export type QuitScene = 0 | 1

export type Chat = {
  chatId: string
  owner: string
  name: string
  notice: string
  createdAt: Date
  /** 32 hex digits; another one after every change of the members. */
  memberVersion: string
  status: ChatStatus
  dismissedAt?: Date
}

export type ChatMember = {
  /** A member's userid or a customer's external_userid, as `type` says. */
  id: string
  /** 1 member of the company, 2 customer. */
  type: 1 | 2
  joinedAt: Date
  joinScene: JoinScene
  invitor?: string
  /** Of the join way. */
  state?: string
  nickname: string
  isAdmin: boolean
}

export type Joining = {
  id: string
  type: 1 | 2
  scene?: JoinScene
  invitor?: string
  state?: string
  nickname?: string
}

type ChatRow = {
  chat_id: string
  owner: string
  name: string
  notice: string
  created_ms: number
  member_version: string
  status: ChatStatus
  dismissed_ms: number | null
}
type MemberRow = {
  id: string
  type: 1 | 2
  join_ms: number
  join_scene: JoinScene
  invitor: string | null
  state: string | null
  nickname: string
  is_admin: number
}

/**
 * Customer groups (客户群). What is done here is what people do in their clients, so it calls back
 * (`change_external_chat`, page 92130); all inside the caller's transaction.
 */
export class Chats {
  constructor(private readonly core: Core) {}

  /** @param chatId - default derived from the seed, the owner, the name and the instant @returns the new group's id */
  create(
    chat: { owner: string; name: string; notice?: string; members: readonly Joining[]; chatId?: string },
    at: Date,
  ): string {
    const { owner, name, notice = '', members } = chat
    const { state, seed } = this.core
    let chatId = chat.chatId ?? ''
    for (let n = 0; chatId === '' || this.get(chatId) !== undefined; n++)
      chatId = `wr${hashKey(30, seed, 'chat', owner, name, at.getTime(), n)}`
    state.run(
      'INSERT INTO chat (chat_id, owner, name, notice, created_ms, member_version) VALUES (?, ?, ?, ?, ?, ?)',
      chatId, owner, name, notice, at.getTime(), '',
    ) // prettier-ignore
    this.put(chatId, [{ id: owner, type: 1 }, ...members.filter((m) => m.id !== owner)], at)
    this.newVersion(chatId, '', at)
    this.core.happened(at, 'chat_created', chatId, owner)
    this.raise(chatId, at, { ChangeType: 'create' })
    return chatId
  }

  get(chatId: string): Chat | undefined {
    const row = this.core.state.get<ChatRow>('SELECT * FROM chat WHERE chat_id = ?', chatId)
    return row === undefined ? undefined : toChat(row)
  }

  /** In the order of joining, then of the id. */
  members(chatId: string): ChatMember[] {
    return this.core.state
      .all<MemberRow>('SELECT * FROM chat_member WHERE chat_id = ? ORDER BY join_ms, id', chatId)
      .map((row) => ({
        id: row.id,
        type: row.type,
        joinedAt: new Date(row.join_ms),
        joinScene: row.join_scene,
        ...(row.invitor === null ? {} : { invitor: row.invitor }),
        ...(row.state === null ? {} : { state: row.state }),
        nickname: row.nickname,
        isAdmin: row.is_admin === 1,
      }))
  }

  /** Groups that were not dismissed, of some owners or of all, in the order of their ids. */
  list(filter: { owners?: readonly string[]; status?: ChatStatus; after?: string; limit: number }): Chat[] {
    const { owners, status, after = '', limit } = filter
    return this.core.state
      .all<ChatRow>(
        `SELECT * FROM chat WHERE chat_id > ? AND dismissed_ms IS NULL AND (? IS NULL OR status = ?)
           AND (? IS NULL OR owner IN (SELECT value FROM json_each(?))) ORDER BY chat_id LIMIT ?`,
        after, status ?? null, status ?? null,
        owners === undefined ? null : 1, JSON.stringify(owners ?? []), limit,
      )
      .map(toChat) // prettier-ignore
  }

  /** @returns how many were not in it yet; 0 when the group is gone. */
  join(chatId: string, joining: readonly Joining[], at: Date): number {
    const chat = this.alive(chatId)
    if (chat === undefined) return 0
    const joined = this.put(chatId, joining, at)
    if (joined.length === 0) return 0
    const versions = this.newVersion(chatId, chat.memberVersion, at)
    const scene = joined[0]!.scene ?? 1
    for (const { id } of joined) this.core.happened(at, 'chat_joined', chatId, id)
    this.raiseUpdate(chatId, at, 'add_member', {
      JoinScene: scene === 3 ? 3 : 0, // the event's codes are not those of the group's details
      MemChangeCnt: joined.length,
      MemChangeList: { Item: joined.map((m) => m.id) },
      ...versions,
    })
    return joined.length
  }

  /** @returns how many were in it. The owner cannot leave: he dismisses the group or hands it over. */
  leave(chatId: string, ids: readonly string[], scene: QuitScene, at: Date): number {
    const chat = this.alive(chatId)
    if (chat === undefined) return 0
    const { state } = this.core
    const gone = ids.filter((id) => {
      if (id === chat.owner) return false
      const was = state.get<{ type: number }>('SELECT type FROM chat_member WHERE chat_id = ? AND id = ?', chatId, id)
      if (was === undefined) return false
      state.run('DELETE FROM chat_member WHERE chat_id = ? AND id = ?', chatId, id)
      this.move(chatId, id, was.type, 0, at)
      return true
    })
    if (gone.length === 0) return 0
    const versions = this.newVersion(chatId, chat.memberVersion, at)
    for (const id of gone) this.core.happened(at, 'chat_left', chatId, id)
    this.raiseUpdate(chatId, at, 'del_member', {
      QuitScene: scene,
      MemChangeCnt: gone.length,
      MemChangeList: { Item: gone },
      ...versions,
    })
    return gone.length
  }

  /** @returns whether there was a group to dismiss. */
  dismiss(chatId: string, at: Date): boolean {
    if (this.alive(chatId) === undefined) return false
    this.core.state.run('UPDATE chat SET dismissed_ms = ? WHERE chat_id = ?', at.getTime(), chatId)
    this.core.happened(at, 'chat_dismissed', chatId)
    this.raise(chatId, at, { ChangeType: 'dismiss' })
    return true
  }

  /**
   * Somebody else owns the group from now on, and is in it.
   * @param status - 3 when it was inherited from somebody who has left; default 0
   * @returns whether the owner changed
   */
  changeOwner(chatId: string, owner: string, at: Date, status: ChatStatus = 0): boolean {
    const chat = this.alive(chatId)
    if (chat === undefined || chat.owner === owner) return false
    this.join(chatId, [{ id: owner, type: 1, invitor: chat.owner }], at)
    this.core.state.run('UPDATE chat SET owner = ?, status = ? WHERE chat_id = ?', owner, status, chatId)
    this.core.happened(at, 'chat_owner', chatId, owner)
    this.raiseUpdate(chatId, at, 'change_owner')
    return true
  }

  /** No callback: the platform tells nobody that a group waits for an heir. */
  setStatus(chatId: string, status: ChatStatus): void {
    this.core.state.run('UPDATE chat SET status = ? WHERE chat_id = ?', status, chatId)
  }

  rename(chatId: string, name: string, at: Date): boolean {
    return this.change(chatId, 'name', name, 'change_name', at)
  }

  setNotice(chatId: string, notice: string, at: Date): boolean {
    return this.change(chatId, 'notice', notice, 'change_notice', at)
  }

  private change(chatId: string, column: 'name' | 'notice', text: string, detail: string, at: Date): boolean {
    if (this.alive(chatId) === undefined) return false
    if (this.core.state.run(`UPDATE chat SET ${column} = ? WHERE chat_id = ? AND ${column} <> ?`, text, chatId, text) === 0) return false // prettier-ignore
    this.core.happened(at, detail, chatId)
    this.raiseUpdate(chatId, at, detail)
    return true
  }

  private alive(chatId: string): Chat | undefined {
    const chat = this.get(chatId)
    return chat?.dismissedAt === undefined ? chat : undefined
  }

  private put(chatId: string, joining: readonly Joining[], at: Date): Joining[] {
    return joining.filter((m) => {
      const added = this.core.state.run(
        `INSERT OR IGNORE INTO chat_member (chat_id, id, type, join_ms, join_scene, invitor, state, nickname)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        chatId, m.id, m.type, at.getTime(), m.scene ?? 1, m.invitor ?? null, m.state ?? null, m.nickname ?? '',
      ) // prettier-ignore
      if (added > 0) this.move(chatId, m.id, m.type, 1, at)
      return added > 0
    })
  }

  private move(chatId: string, id: string, type: number, joined: 0 | 1, at: Date): void {
    this.core.state.run(
      'INSERT INTO chat_move (chat_id, at_ms, id, type, joined) VALUES (?, ?, ?, ?, ?)',
      chatId, at.getTime(), id, type, joined,
    ) // prettier-ignore
  }

  private newVersion(chatId: string, before: string, at: Date): { LastMemVer: string; CurMemVer: string } {
    const version = hashKey(32, 'member-version', chatId, before, at.getTime())
    this.core.state.run('UPDATE chat SET member_version = ? WHERE chat_id = ?', version, chatId)
    return { LastMemVer: before, CurMemVer: version }
  }

  private raiseUpdate(chatId: string, at: Date, detail: string, more: XmlFields = {}): void {
    this.raise(chatId, at, { ChangeType: 'update', UpdateDetail: detail, ...more })
  }

  private raise(chatId: string, at: Date, fields: XmlFields): void {
    this.core.raise(at, {
      Event: 'change_external_chat',
      ChatId: chatId,
      ...fields,
    })
  }
}

function toChat(row: ChatRow): Chat {
  return {
    chatId: row.chat_id,
    owner: row.owner,
    name: row.name,
    notice: row.notice,
    createdAt: new Date(row.created_ms),
    memberVersion: row.member_version,
    status: row.status,
    ...(row.dismissed_ms === null ? {} : { dismissedAt: new Date(row.dismissed_ms) }),
  }
}
