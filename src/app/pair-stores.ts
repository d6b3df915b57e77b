import { z } from 'zod'
import { profilesTable, storesTable } from '../domain/events/tables.js'
import { ConfigError } from '../errors.js'
import type { EventStore } from '../ports/event-store.js'
import { secretHex } from '../random.js'
import { refuseHalfRestored } from '../services/backup/restore-backup.js'
import { said } from '../said.js'
import type { Collections } from '../stored/collections.js'

const MARK = 'store'

/**
 * Documents and events carry one mark, made when they first met. Of other documents, or of an older copy of them, a new customer
 * would get the number, and so the orders, of somebody who is known to the events.
 *
 * @param events - as it is opened: rows that wait in documents are none of its own
 * @throws {ConfigError} where they do not belong together; nothing is written then
 */
export async function pairStores(
  docs: Pick<Collections, 'meta' | 'batches'>,
  events: Pick<EventStore, 'query' | 'insert'>,
): Promise<void> {
  await refuseHalfRestored(docs)
  // Events are asked first: what documents say of profiles is written before events hear of them.
  const [marked] = await events.query(`SELECT store FROM ${storesTable.name} LIMIT 1`, z.object({ store: z.string() }))
  const [{ last } = { last: 0 }] = await events.query(
    `SELECT max(profile_id) AS last FROM ${profilesTable.name}`,
    z.object({ last: z.number() }),
  )
  const known = await lastKnownProfile(docs)
  const { text: own, flag: isWritten } = (await docs.meta.get(MARK)) ?? {}
  if (last > known)
    throw apart(
      said(
        `事件库里有 ${last} 号档案，文档库只到 ${known} 号`,
        `the events know profile ${last}, the documents end at ${known}`,
      ),
    )
  if (marked === undefined && isWritten === true)
    throw apart(
      said(
        '事件库是空的或换过，文档库认识的是另一个',
        'the events are new or were replaced; the documents know others',
      ),
    )
  // Documents get their mark first, so whoever has none is another's, unless nothing is in either.
  if (marked !== undefined && own !== marked.store && (own !== undefined || known > 0 || last > 0))
    throw apart(said('两边的标记不同', 'their marks differ'))
  if (isWritten === true) return
  await docs.meta.updateEach([
    {
      id: MARK,
      where: { text: { $exists: false } },
      update: { $set: { text: marked?.store ?? secretHex(8) } },
      upsert: true,
    },
  ])
  const store = (await docs.meta.get(MARK))!.text! // just written, here or beside us
  if (marked === undefined) await events.insert(storesTable, [{ store }], `mark ${store}`)
  await docs.meta.update(MARK, { $set: { flag: true } })
}

/** A plan is stored before anything of it is applied, the number it ends at among it. */
async function lastKnownProfile(docs: Pick<Collections, 'meta' | 'batches'>): Promise<number> {
  const planned = await docs.batches.find({ state: 'planned' }, { skipUnfit: true })
  const ends = planned.flatMap(({ plan }) => (plan === undefined ? [] : [plan.nextProfileId - 1]))
  return Math.max((await docs.meta.get('counter:profile'))?.value ?? 0, ...ends)
}

function apart(message: string): ConfigError {
  return new ConfigError(said('文档库和事件库不是一起的', 'documents and events do not belong together'), [
    {
      path: 'dataDir',
      message,
      hint: said(
        '把两边恢复到同一时刻的备份，或改正 MONGODB_URI、CLICKHOUSE_URL、dataDir',
        'restore both from backups of one moment, or correct MONGODB_URI, CLICKHOUSE_URL or dataDir',
      ),
    },
  ])
}
