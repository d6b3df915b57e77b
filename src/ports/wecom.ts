import type { SourceRecordInput } from '../domain/events/record.js'

/** What a WeCom callback means to us; made by connectors/wecom from the decrypted message. */
export type WecomEvent =
  /** Something about this contact changed: read it again. `record` carries what the message itself says. */
  | { kind: 'contact'; externalUserId: string; userId: string; record?: SourceRecordInput }
  /** The relation ended. */
  | { kind: 'lost_contact'; record: SourceRecordInput }
  /** A guide pressed a button of one of our cards. */
  | { kind: 'card'; taskId: string; key: string; userId: string; responseCode?: string; at: Date }
  | { kind: 'other'; name: string }

/** Reading the company's contacts and answering its guides. */
export interface WecomPort {
  /** Every contact of every member who serves customers, as records, in batches. */
  contacts(): AsyncIterable<SourceRecordInput[]>
  /** One contact as it is now; `undefined` when it is nobody's contact any more. */
  contact(externalUserId: string): Promise<SourceRecordInput | undefined>
  /** Locks the buttons of a card and shows `text` instead. Too late (72 h, used code) is no error. */
  closeCard(card: { userId: string; responseCode: string; text: string }): Promise<void>
}
