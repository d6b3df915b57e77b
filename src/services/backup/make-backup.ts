import { gzip as gzipWithCallback } from 'node:zlib'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { filledTables, migrationsTable, storesTable, tables } from '../../domain/events/tables.js'
import { ConflictError } from '../../errors.js'
import type { Archives, ArchiveWriter } from '../../ports/archive.js'
import type { CollectionDefinition, Doc, DocumentSnapshot, DocumentStore } from '../../ports/document-store.js'
import type { EventSnapshot } from '../../ports/event-store.js'
import { secretHex } from '../../random.js'
import { said } from '../../said.js'
import type { BackupRecord } from '../../stored/backups.js'
import { collectionDefinitions } from '../../stored/collections.js'
import { closePast } from '../../stored/runtime.js'
import { finishPlanned } from '../ingest/process-batches.js'
import { lastAuditRow, wasAtWork } from '../runtime/audit.js'
import type { ServiceDeps } from '../runtime/deps.js'
import type { Once, Pause, RunAlone } from '../runtime/with-lease.js'
import { SECOND_MS } from '../../time.js'
import { FORMAT, type Manifest, MANIFEST, MANIFEST_SUM, type Piece, sha256 } from './manifest.js'

const gzip = promisify(gzipWithCallback)

/** What keeps others from writing while the stores are copied; see `src/jobs/pause.ts`. */
export type Copying = {
  archives: Archives
  once: Once
  pause: Pause
}

export type BackupParts = {
  deps: ServiceDeps
  documents: DocumentStore
  alone: RunAlone
  copying: Copying
}

/** As JSON. */
export type Backup = Omit<BackupRecord, '_id' | 'at'> & { id: string; at: string }

/** What is written to, in the events: the rest is filled from it. */
export const COPIED_TABLES = [...tables.filter((table) => !filledTables.has(table)), storesTable]

/** Of one piece of documents, before it is compressed. */
const PIECE_CHARS = 4 * 2 ** 20
/** How often a copy into which an operation wrote is begun anew. */
const ATTEMPTS = 10
const AGAIN_MS = SECOND_MS

/**
 * Copies both stores as they stand at one instant, between two groups of ingest, while the service goes on. What waits in the
 * inbox goes along. Where documents can be seen standing still (SQLite) lanes stop for a moment; elsewhere for as long as
 * documents are copied, while records and callbacks are still taken in.
 *
 * @param changing - operations that change several documents: a copy into which one wrote is begun anew
 * @throws {ConflictError} while another backup is made, or such operations do not come to an end
 */
export async function makeBackup(
  parts: BackupParts,
  { movedTo, changing }: { movedTo?: string | undefined; changing: ReadonlySet<string> },
  onProgress: (done: number) => void,
): Promise<Backup> {
  const { copying, deps } = parts
  return copying.once('backup', async () => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const made = await copyInto(parts, changing, onProgress)
      if (made === undefined) {
        await sleep(AGAIN_MS)
        continue
      }
      const record: BackupRecord = { ...made, ...(movedTo !== undefined && { movedTo }) }
      await deps.docs.backups.put([record])
      return toBackup(record)
    }
    throw new ConflictError(
      said(
        '备份时一直有人在改 → 等他们改完再备份',
        'others kept changing things meanwhile → back up when they are done',
      ),
    )
  })
}

export function toBackup({ _id, at, ...rest }: BackupRecord): Backup {
  return { id: _id, at: at.toISOString(), ...rest }
}

/** @returns `undefined` where an operation wrote into it; nothing is left of it then */
async function copyInto(
  { deps, documents, alone, copying }: BackupParts,
  changing: ReadonlySet<string>,
  onProgress: (done: number) => void,
): Promise<BackupRecord | undefined> {
  const { docs, events, clock } = deps
  const store = (await docs.meta.get('store'))?.text ?? ''
  const id = `siyu-${clock
    .now()
    .toISOString()
    .replace(/[-:]|\.\d+/g, '')}-${store.slice(0, 4)}${secretHex(2)}`
  const archive = await copying.archives.create(`${id}.tar`)
  const pieces = new Pieces(archive, onProgress)
  let [seenDocuments, seenEvents]: [DocumentSnapshot | undefined, EventSnapshot | undefined] = [undefined, undefined]
  try {
    const at = await alone(() =>
      copying.pause(documents.kind === 'sqlite' ? 'ingest' : 'all', async (held) => {
        await finishPlanned({ ...deps, worker: { ...deps.worker, fence: held.fence, isLate: held.isLate } })
        const since = await lastAuditRow(docs)
        if (await wasAtWork(docs, changing, since)) return undefined
        const instant = clock.now()
        await closePast(docs.meta, instant)
        // Events first: what waits for them in documents has arrived then, and nothing of ingest or of refreshes comes after.
        seenEvents = await events.snapshot(COPIED_TABLES)
        seenDocuments = await documents.snapshot()
        if (!seenDocuments.isStill) await copyDocuments(seenDocuments, pieces)
        return (await wasAtWork(docs, changing, since)) ? undefined : instant
      }),
    )
    if (at === undefined) return undefined
    if (seenDocuments!.isStill) await copyDocuments(seenDocuments!, pieces)
    for (const table of COPIED_TABLES) {
      let n = 0
      for await (const { rows, file } of seenEvents!.pages(table))
        await pieces.add(`events/${table.name}/${numbered(++n)}.parquet`, file, rows)
    }
    const [schema] = await events.query(
      `SELECT max(version) AS version FROM ${migrationsTable.name}`,
      z.object({ version: z.number() }),
    )
    const manifest: Manifest = {
      format: FORMAT,
      id,
      store,
      at: at.toISOString(),
      from: { documents: documents.kind, events: events.kind },
      eventSchema: schema!.version,
      collections: Object.fromEntries(
        collectionDefinitions.map(({ name, version }) => [
          name,
          { version, count: pieces.countOf(`documents/${name}/`) },
        ]),
      ),
      tables: Object.fromEntries(
        COPIED_TABLES.map(({ name, columns }) => [
          name,
          { columns: Object.keys(columns), rows: pieces.countOf(`events/${name}/`) },
        ]),
      ),
      pieces: pieces.list,
    }
    const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`)
    await archive.add(MANIFEST, text)
    await archive.add(MANIFEST_SUM, Buffer.from(`${sha256(text)}  ${MANIFEST}\n`))
    const bytes = await archive.commit()
    return {
      _id: id,
      at,
      file: copying.archives.placeOf(`${id}.tar`),
      bytes,
      profiles: manifest.collections.profiles!.count,
      events: manifest.tables.events!.rows,
    }
  } finally {
    const closed = await Promise.allSettled([
      (seenDocuments as DocumentSnapshot | undefined)?.close(),
      (seenEvents as EventSnapshot | undefined)?.close(),
      archive.discard(),
    ])
    const failed = closed.find((one) => one.status === 'rejected')
    // eslint-disable-next-line no-unsafe-finally -- nothing that is left open may pass for a backup that went well
    if (failed !== undefined) throw failed.reason
  }
}

async function copyDocuments(documents: DocumentSnapshot, pieces: Pieces): Promise<void> {
  for (const { name } of inOrder(collectionDefinitions)) {
    let [n, lines, chars]: [number, string[], number] = [0, [], 0]
    const flush = async () => {
      if (lines.length === 0) return
      const [text, count] = [`${lines.join('\n')}\n`, lines.length]
      ;[lines, chars] = [[], 0]
      await pieces.add(`documents/${name}/${numbered(++n)}.jsonl.gz`, await gzip(text), count)
    }
    for await (const some of documents.scan(name)) {
      for (const line of some) {
        lines.push(line)
        chars += line.length
        if (chars >= PIECE_CHARS) await flush()
      }
    }
    await flush()
  }
}

/**
 * Where documents do not stand still, records and callbacks come in while they are copied. What is to be worked off is
 * copied before what it brings about, and counters after what they number.
 */
function inOrder(all: readonly CollectionDefinition<Doc>[]): CollectionDefinition<Doc>[] {
  const rankOf = ({ name }: { name: string }) => {
    if (name === 'callbacks') return 0
    if (name === 'batches') return 1
    if (name === 'meta') return 3
    return name === 'audit' ? 4 : 2
  }
  return [...all].sort((a, b) => rankOf(a) - rankOf(b))
}

function numbered(n: number): string {
  return String(n).padStart(6, '0')
}

class Pieces {
  readonly list: Piece[] = []
  private done = 0

  constructor(
    private readonly archive: ArchiveWriter,
    private readonly onProgress: (done: number) => void,
  ) {}

  async add(name: string, data: Buffer, count: number): Promise<void> {
    await this.archive.add(name, data)
    this.list.push({ name, bytes: data.length, sha256: sha256(data), count })
    this.onProgress((this.done += count))
  }

  countOf(prefix: string): number {
    return this.list.reduce((sum, { name, count }) => sum + (name.startsWith(prefix) ? count : 0), 0)
  }
}
