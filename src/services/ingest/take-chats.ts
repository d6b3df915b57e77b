import { SourceRecord, type SourceRecordInput } from '../../domain/events/record.js'
import { parseInput } from '../../parse.js'
import type { ChatBotState, ChatSighting } from '../../ports/chat-bot.js'
import { hashKey } from '../../random.js'
import { atTimeOfDay } from '../../time.js'
import { acceptRecords } from './accept-records.js'
import type { Deps } from '../runtime/deps.js'

export type ChatSettings = {
  /** One sighting as records; the connector's mapping. */
  toRecords: (sighting: ChatSighting) => SourceRecordInput[]
  /** How long texts are kept; `undefined`: they are not. */
  keepTextDays: number | undefined
}

/**
 * Takes over what a bot saw: events and traits of the customers and, only if the brand keeps texts, the words. The same
 * sightings again change nothing. Give at most 200.
 */
export async function takeChats(
  deps: Pick<Deps, 'docs' | 'clock' | 'jobs' | 'brand'>,
  { toRecords, keepTextDays }: ChatSettings,
  sightings: readonly ChatSighting[],
): Promise<void> {
  const seen = sightings.map((sighting) => ({
    sighting,
    records: toRecords(sighting).map((record) => parseInput(SourceRecord, record, 'Chat sighting')),
  }))
  if (keepTextDays !== undefined) {
    await deps.docs.chatTexts.insert(
      seen.flatMap(({ sighting, records: [record] }) =>
        sighting.kind !== 'message' || record === undefined || sighting.text === ''
          ? []
          : [
              {
                _id: record.ref,
                person: record.identifiers.at(-1)!,
                from: sighting.from,
                at: sighting.at,
                text: sighting.text,
                // At the midnight after: one sweep a day.
                expiresAt: atTimeOfDay(sighting.at, 0, deps.brand.timeZone, keepTextDays + 1),
              },
            ],
      ),
    )
  }
  const records = seen.flatMap((one) => one.records)
  await acceptRecords(deps, `wechaty:${hashKey(32, ...records.map((record) => record.ref))}`, records)
}

/** Deletes the texts whose time is over. */
export async function sweepChats({ docs, clock }: Pick<Deps, 'docs' | 'clock'>): Promise<void> {
  await docs.chatTexts.delete({ expiresAt: { $lte: clock.now() } })
}

export async function nextChatSweepAt({ docs }: Pick<Deps, 'docs'>): Promise<Date | undefined> {
  return (await docs.chatTexts.findOne({}, { sort: { expiresAt: 1 }, skipUnfit: true }))?.expiresAt
}

/** Keeps how the bot stands, and tells a person when one is needed. */
export async function noteBotState(
  { docs, clock, log }: Pick<Deps, 'docs' | 'clock' | 'log'>,
  state: ChatBotState,
): Promise<void> {
  const update = { $set: { text: state, at: clock.now() } }
  await docs.meta.updateEach([{ id: 'wechaty', update, upsert: true }])
  if (state === 'waiting_for_scan') log.error('wechaty needs a person: scan the code to sign the account in')
  else if (state === 'signed_out') log.error('wechaty needs a person: the account was signed out; sign it in again')
  else log.info('wechaty', { state })
}
