import { z } from 'zod'
import { profilesTable, storesTable, tables } from '../../domain/events/tables.js'
import { ConfigError, ConflictError } from '../../errors.js'
import type { ArchiveReader } from '../../ports/archive.js'
import type { DocumentStore } from '../../ports/document-store.js'
import type { EventStore } from '../../ports/event-store.js'
import { hashKey, secretHex } from '../../random.js'
import { said } from '../../said.js'
import { collectionDefinitions, type Collections, openCollections } from '../../stored/collections.js'
import type { Clock } from '../../time.js'
import { writeAudit } from '../runtime/audit.js'
import { switchSending } from '../touches/switch-sending.js'
import { COPIED_TABLES } from './make-backup.js'
import { contentOf, damaged, linesOf, type Manifest, MANIFEST, MANIFEST_SUM, sha256, tooNew } from './manifest.js'

/** While it is there, what the stores hold is a part of a backup. */
const RESTORING = 'restoring'

const Count = z.object({ n: z.number() })

export type Restored = Pick<Manifest, 'id' | 'store' | 'at'> & { profiles: number; events: number }

/** @throws {ConfigError} where a restore was broken off: a part of a store is none */
export async function refuseHalfRestored({ meta }: Pick<Collections, 'meta'>): Promise<void> {
  const half = await meta.get(RESTORING)
  if (half === undefined) return
  throw new ConfigError(said('上次恢复没有做完', 'a restore was broken off'), [
    {
      path: 'dataDir',
      message: said(`里面只有备份 ${idOf(half)} 的一部分`, `only a part of the backup ${idOf(half)} is there`),
      hint: said('再运行一次 siyu restore', 'run siyu restore once more'),
    },
  ])
}

/** Of the backup that a note names. */
function idOf({ text = '' }: { text?: string }): string {
  return text.split(' ', 1)[0]! // of a text there is always a first part
}

/**
 * Looks at every piece, and at whether this program knows what is in it. Nothing is opened before.
 *
 * @throws {InvalidInputError} where a piece is damaged or missing, or the backup is of a newer program
 */
export async function verifyBackup(
  archive: ArchiveReader,
  { collections, tables: copied, pieces }: Manifest,
  onPiece: () => void,
): Promise<void> {
  const known = new Map(collectionDefinitions.map((definition) => [definition.name, definition.version]))
  for (const [name, { version }] of Object.entries(collections))
    if (version > (known.get(name) ?? -Infinity)) throw tooNew(`${name} ${version}`)
  for (const [name, { columns }] of Object.entries(copied)) {
    const table = COPIED_TABLES.find((t) => t.name === name)
    const unknown = table === undefined ? name : columns.find((column) => !Object.hasOwn(table.columns, column))
    if (unknown !== undefined) throw tooNew(unknown)
  }
  const listOf = { documents: collections, events: copied }
  for (const [list, name] of [
    [collections, 'profiles'],
    [copied, 'events'],
  ] as const)
    if (!Object.hasOwn(list, name)) throw damaged(MANIFEST, said(`没有 ${name}`, `${name} is not in it`))
  const left = new Map(pieces.map((piece) => [piece.name, piece]))
  if (left.size < pieces.length) throw damaged(MANIFEST, said('有一段列了两次', 'a piece is listed twice'))
  for await (const { name, bytes, read } of archive.entries()) {
    if (name === MANIFEST || name === MANIFEST_SUM) continue
    const [piece, content] = [left.get(name), contentOf(name)]
    // What is restored is what was looked at: each piece once, and each of something that is listed.
    if (piece === undefined || content === undefined || !Object.hasOwn(listOf[content.kind], content.of))
      throw damaged(name, said('清单里没有它', 'the manifest does not name it, or names it once'))
    const data = bytes === piece.bytes ? await read() : undefined
    if (data === undefined || sha256(data) !== piece.sha256)
      throw damaged(name, said('内容变了', 'its content has changed'))
    if (content.kind === 'documents' && (await linesOf(name, data)).length !== piece.count)
      throw damaged(name, said('行数不对', 'it has another number of lines'))
    left.delete(name)
    onPiece()
  }
  const [missing] = left.keys()
  if (missing !== undefined) throw damaged(missing, said('不在里面', 'it is not there'))
}

/**
 * Fills empty stores of any kind with a backup that was verified. Broken off, what is there is no store, and the same again
 * begins anew. Sends are stopped in what it makes: the backup does not know what went out since.
 *
 * @throws {ConflictError} where the stores are not empty; nothing is changed then
 */
export async function restoreBackup(
  { documents, events, clock, who }: { documents: DocumentStore; events: EventStore; clock: Clock; who: string },
  archive: ArchiveReader,
  manifest: Manifest,
  onPiece: () => void,
): Promise<Restored> {
  const docs = await openCollections(documents)
  // Emptied tables remember the tokens of the attempt before.
  const attempt = secretHex(4)
  const note = `${manifest.id} ${attempt}`
  await claim(docs, events, note)
  const byName = new Map(collectionDefinitions.map((definition) => [definition.name, definition]))
  for await (const { name, read } of archive.entries()) {
    const { kind, of } = contentOf(name) ?? { of: '' }
    if (kind !== undefined) await requireClaim(docs, note)
    if (kind === 'documents') {
      const lines = await linesOf(name, await read())
      await documents.load(byName.get(of)!, lines, manifest.collections[of]!.version) // verified
    } else if (kind === 'events') {
      const table = COPIED_TABLES.find((t) => t.name === of)! // verified
      await events.load(table, manifest.tables[of]!.columns, await read(), `restore ${attempt} ${name}`)
    } else continue
    onPiece()
  }
  await requireClaim(docs, note)
  await checkCounts(docs, events, manifest)
  await switchSending(docs, 'stop', clock.now())
  const inputHash = hashKey(64, manifest.id)
  await writeAudit({ docs, clock }, { who, operation: 'restore', target: manifest.id, outcome: 'done', inputHash })
  await docs.meta.delete({ _id: RESTORING })
  const { id, store, at, collections, tables: copied } = manifest
  return { id, store, at, profiles: collections.profiles!.count, events: copied.events!.rows }
}

/**
 * Notes that what the stores hold is a part of a backup, and whose work that is: whoever comes to half a restore begins anew, and
 * who was at it finds out before its next piece.
 *
 * @throws {ConflictError} where the stores are not empty
 */
async function claim(docs: Collections, events: EventStore, note: string): Promise<void> {
  const { refused } = await docs.meta.insert([{ _id: RESTORING, text: note }])
  if (refused.length > 0) {
    await docs.meta.update(RESTORING, { $set: { text: note } })
    return empty(docs, events)
  }
  try {
    await refuseNonEmpty(docs, events)
  } catch (err) {
    await docs.meta.delete({ _id: RESTORING, text: note })
    throw err
  }
}

/** @throws {ConflictError} where somebody else has begun to restore into these stores */
async function requireClaim({ meta }: Pick<Collections, 'meta'>, note: string): Promise<void> {
  if ((await meta.get(RESTORING))?.text === note) return
  throw new ConflictError(
    said(
      '另有一个恢复在往这里写 → 等它做完；只让一个做',
      'another restore writes into these stores → wait for its end, and let only one of them do it',
    ),
  )
}

async function refuseNonEmpty(docs: Collections, events: EventStore): Promise<void> {
  const full: string[] = []
  const { meta, ...others } = docs
  if ((await meta.findOne({ _id: { $ne: RESTORING } })) !== undefined) full.push('meta')
  for (const [name, collection] of Object.entries(others))
    if ((await collection.findOne({})) !== undefined) full.push(name)
  for (const table of [...tables, storesTable]) if ((await rowsOf(events, table.name)) > 0) full.push(table.name)
  if (full.length === 0) return
  throw new ConflictError(
    said(
      `这里已经有数据（${full.slice(0, 3).join('、')}…），没有动它 → 恢复到空的地方：换一个 dataDir 或数据库`,
      `there is data already (${full.slice(0, 3).join(', ')}, …); it was left alone → restore into an empty place: another dataDir or database`,
    ),
  )
}

/** What a restore that was broken off has left. */
async function empty(docs: Collections, events: EventStore): Promise<void> {
  for (const table of [...tables, storesTable])
    // eslint-disable-next-line no-restricted-syntax -- half a restore is nobody's past
    await events.command(`TRUNCATE TABLE ${table.name}`)
  const { meta, ...others } = docs
  for (const collection of Object.values(others)) await collection.delete({})
  await meta.delete({ _id: { $ne: RESTORING } })
}

async function checkCounts(docs: Collections, events: EventStore, manifest: Manifest): Promise<void> {
  const wrong: string[] = []
  const byName = new Map(collectionDefinitions.map(({ name }, i) => [name, Object.values(docs)[i]!]))
  for (const [name, { count }] of Object.entries(manifest.collections)) {
    const own = name === 'meta' ? 1 : 0
    const found = (await byName.get(name)!.count({})) - own
    if (found !== count) wrong.push(`${name}: ${found}/${count}`)
  }
  for (const [name, { rows }] of Object.entries(manifest.tables)) {
    // The engine drops superseded rows of people when it likes.
    const found = await rowsOf(events, name)
    if (name === profilesTable.name ? found > rows : found !== rows) wrong.push(`${name}: ${found}/${rows}`)
  }
  if (wrong.length > 0)
    throw new ConflictError(
      said(
        `恢复出来的数量不对（${wrong.join('，')}）→ 再恢复一次，期间不要让别的进程用它`,
        `the counts are not those of the backup (${wrong.join(', ')}) → restore once more, with no other process at the stores`,
      ),
    )
}

async function rowsOf(events: EventStore, table: string): Promise<number> {
  return (await events.query(`SELECT count() AS n FROM ${table}`, Count))[0]!.n
}
