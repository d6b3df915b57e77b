import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip as gunzipWithCallback } from 'node:zlib'
import { z } from 'zod'
import { InvalidInputError, messageOf } from '../../errors.js'
import { parseInput } from '../../parse.js'
import type { ArchiveReader } from '../../ports/archive.js'
import { said } from '../../said.js'

const gunzip = promisify(gunzipWithCallback)

/** Raised when an archive is laid out in another way. */
export const FORMAT = 1
/** The last pieces: an archive without them was not finished. */
export const MANIFEST = 'manifest.json'
/** As `sha256sum --check` reads it. */
export const MANIFEST_SUM = 'manifest.sha256'

const Piece = z.object({
  name: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** Documents or rows. */
  count: z.number(),
})
export type Piece = z.infer<typeof Piece>

/** What a backup is of. Pieces of documents are gzipped lines of JSON, those of events are Parquet. */
export const Manifest = z.object({
  format: z.number(),
  id: z.string(),
  /** The mark that documents and events have in common. */
  store: z.string(),
  /** ISO 8601. All that was known by then is in it, and nothing that came later. */
  at: z.iso.datetime(),
  from: z.object({ documents: z.string(), events: z.string() }),
  /** Version of the events' schema. */
  eventSchema: z.number(),
  collections: z.record(z.string(), z.object({ version: z.number(), count: z.number() })),
  tables: z.record(z.string(), z.object({ columns: z.array(z.string()), rows: z.number() })),
  pieces: z.array(Piece),
})
export type Manifest = z.infer<typeof Manifest>

export function sha256(data: Buffer | string): string {
  return hash('sha256', data, 'hex')
}

/** @throws {InvalidInputError} where it is no backup, not whole, or of a newer program */
export async function readManifest(archive: ArchiveReader): Promise<Manifest> {
  let [text, sum]: [Buffer | undefined, string | undefined] = [undefined, undefined]
  for await (const { name, read } of archive.entries()) {
    if (name === MANIFEST) text = await read()
    if (name === MANIFEST_SUM) sum = (await read()).toString('utf8')
  }
  if (text === undefined || sum === undefined) throw damaged(MANIFEST, said('没有写完', 'it was not finished'))
  if (!sum.startsWith(sha256(text))) throw damaged(MANIFEST, said('内容变了', 'its content has changed'))
  const content = jsonOf(text)
  const { format } = parseInput(z.object({ format: z.number() }), content, MANIFEST)
  if (format > FORMAT) throw tooNew(`format ${format}`)
  return parseInput(Manifest, content, MANIFEST)
}

function jsonOf(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch (err) {
    throw damaged(MANIFEST, messageOf(err))
  }
}

/** What the name of a piece says: of which collection or table it is. */
export function contentOf(piece: string): { kind: 'documents' | 'events'; of: string } | undefined {
  const [, kind, of] = /^(documents|events)\/([\w-]+)\/\d+\.(?:jsonl\.gz|parquet)$/.exec(piece) ?? []
  return kind === undefined ? undefined : { kind: kind as 'documents' | 'events', of: of! }
}

/** Many times what a piece takes that was written here. */
const MAX_PIECE_BYTES = 256 * 2 ** 20

/** The lines of a piece of documents. @throws {InvalidInputError} where it is none, or of more than memory is for */
export async function linesOf(name: string, data: Buffer): Promise<string[]> {
  const text = await gunzip(data, { maxOutputLength: MAX_PIECE_BYTES }).catch((err: unknown) => {
    throw damaged(name, messageOf(err))
  })
  return text.toString('utf8').trimEnd().split('\n')
}

export function damaged(piece: string, message: string): InvalidInputError {
  return new InvalidInputError(said('这份备份坏了，什么都没有动', 'This backup is damaged; nothing was touched'), [
    { path: piece, message, hint: said('用另一份备份', 'take another backup') },
  ])
}

export function tooNew(what: string): InvalidInputError {
  return new InvalidInputError(said('这份备份由更新的 siyu 写成', 'This backup was written by a newer siyu'), [
    {
      path: what,
      message: said('这个版本不认识', 'is unknown here'),
      hint: said('用那个版本恢复', 'restore with that version'),
    },
  ])
}
