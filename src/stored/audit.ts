import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** Who did what, when. `_id` counts from 1 without a gap; rows are only ever added. */
export type AuditRow = {
  _id: number
  /** `key:<id of the API key>`, `user:<operating system user>`, `guide:<userid>` or `system`. */
  who: string
  operation: string
  /** What it was done to; never a phone number or another identifier of a customer. */
  target: string
  at: Date
  /** refused: asked for in vain, nothing was done. failed: broken off, some of it may have been done. */
  outcome: 'done' | 'refused' | 'failed'
  /** Code of the error, unless it was done; `interrupted`: its process died. */
  code?: string
  /** Hash of the input with personal data left out; empty for one that could not be read. */
  inputHash: string
  /** Hash of the row before; empty in the first. */
  previousHash: string
  /** Of everything above. */
  hash: string
}

export type AuditCollections = {
  audit: Collection<AuditRow>
}

export const auditCollections: DefinitionsOf<AuditCollections> = {
  audit: { name: 'audit', version: 1 },
}
