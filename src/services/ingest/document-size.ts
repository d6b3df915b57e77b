/** Above this a document does not fit into a store that keeps one below 16 MiB, with some air. */
export const MAX_DOCUMENT_BYTES = 15 * 2 ** 20

/** Of a name or an index, a type and an end. */
const FIELD_BYTES = 8

/** How large a value is as a part of a stored document, in bytes: about, and rather too much. */
export function documentBytes(value: unknown): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value)
  if (Array.isArray(value)) return value.reduce<number>((sum, part) => sum + FIELD_BYTES + documentBytes(part), 5)
  if (typeof value !== 'object' || value === null || value instanceof Date) return 8
  let bytes = 5
  for (const [name, part] of Object.entries(value))
    if (part !== undefined) bytes += 2 + Buffer.byteLength(name) + documentBytes(part)
  return bytes
}
