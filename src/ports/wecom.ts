import type { WecomEvent } from '../domain/wecom/event.js'
import type { WecomDepartment, WecomGroup, WecomMember, WecomTag } from '../domain/wecom/mirror.js'
import type { Relation } from '../domain/wecom/relation.js'

export type RelationPage = {
  relations: Relation[]
  /** Absent on the last page. Holds for a while only. */
  next?: string
}

/** A group as it is now, without what only the mirror knows. */
export type GroupNow = Omit<WecomGroup, 'state' | 'revision'>
export type MemberNow = Pick<WecomMember, '_id' | 'name' | 'departmentIds' | 'status'>

export type WelcomeAttachment =
  | { kind: 'link'; title: string; url: string; description?: string; imageUrl?: string }
  | { kind: 'miniprogram'; title: string; appId: string; page: string; imageMediaId: string }
  | { kind: 'image'; url: string }
  | { kind: 'image'; mediaId: string }

export type WelcomeOutcome =
  | { kind: 'sent' }
  /** Certainly not sent, and never will be with this code. */
  | { kind: 'refused'; reason: string }
  /** The code is used up or older than 20 s. */
  | { kind: 'expired' }
  /** A welcome message has been delivered with this code, or the chat has begun. */
  | { kind: 'delivered_before' }
  /** Certainly not sent by this request; another one may be. */
  | { kind: 'again'; reason: string }
  /** It may have been sent. Codes work once, so asking again cannot send it twice. */
  | { kind: 'unknown'; reason: string }

/** Reading the company's contacts and answering its people. */
export interface WecomPort {
  /** What the decrypted message of a callback says. @throws {InvalidInputError} */
  readEvent(message: string): WecomEvent

  /** Members with the customer-contact feature, as far as the app may see them. */
  servingMembers(): Promise<string[]>
  /** Relations of up to 100 members, page by page; `expired` when the cursor is too old: begin anew. Low priority. */
  relationPage(userIds: readonly string[], cursor?: string): Promise<RelationPage | 'expired'>
  /** External userids of one member's customers. Low priority. */
  customersOf(userId: string): Promise<string[]>
  /** Every visible relation of one customer; none when she is nobody's contact (any more, or yet: half-added). */
  relationsOf(externalUserId: string, priority: 'callback' | 'sync'): Promise<Relation[]>

  departments(): Promise<WecomDepartment[]>
  /** Members of one department, those below it left out. */
  membersOf(departmentId: number): Promise<MemberNow[]>
  /** Every corp tag. */
  tags(): Promise<Omit<WecomTag, 'state'>[]>
  /** Ids of all groups whose owner serves customers, in pages. */
  groupIds(): AsyncIterable<string[]>
  /** `undefined` when it was dissolved or is no customer group. */
  group(chatId: string): Promise<GroupNow | undefined>

  /** Within 20 s of the callback that carried the code. Before everything else that waits. */
  sendWelcome(code: string, text: string, attachments: readonly WelcomeAttachment[]): Promise<WelcomeOutcome>
  /** Uploads an image file; its media id lives 3 days. */
  uploadImage(file: string): Promise<string>
  /** An app message to a member. */
  tell(userId: string, text: string): Promise<void>
  /** Locks the buttons of a card and shows `text` instead. Resolves to false when it was too late (72 h, used code). */
  closeCard(card: { userId: string; responseCode: string; text: string }): Promise<boolean>
}
