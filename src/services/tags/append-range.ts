import { closedNumbersTable, tagChangesTable } from '../../domain/events/tables.js'
import { compileAppend, passesOf } from '../../domain/rules/compile.js'
import { ConflictError } from '../../errors.js'
import type { Deps } from '../runtime/deps.js'
import type { Evaluation } from './evaluate-profiles.js'

/** Profile ids from `from` up to, not including, `to`. */
export type Range = { from: number; to: number }

/**
 * Records what differs from the state, in a statement inside the engine (or a few, where tags read tags on many levels):
 * the log is the outbox, and `feedRange` acts on it. Profiles that ingest has overtaken are left out; of the others nothing
 * is read that groups after this number brought.
 *
 * It may be repeated: what has arrived is part of the state then (`tag_state` is filled from the log, behind it) and differs
 * no more; a row that arrived without its state arrives twice, which readers of the log do not mind. It may come late, since
 * the engine goes by requests and not by leases: once the number is closed it appends nothing. So it is closed before
 * anybody acts on what was appended.
 */
export async function appendRange(deps: Deps, evaluation: Evaluation, range: Range): Promise<void> {
  const { docs, events, definitions, worker } = deps
  const { evaluables, now, seq, knownAt, cause } = evaluation
  const stamps = await docs.overtaken.find({ _id: { $gte: range.from, $lt: range.to } })
  const without = stamps.map((stamp) => stamp._id)
  const { segments, tags } = definitions.current
  const rules = { nowMs: now.getTime(), segments, tags }
  for (const pass of passesOf(evaluables, rules)) {
    const select = compileAppend(pass, { ...rules, range, seq, knownAtMs: knownAt.getTime(), cause, without })
    if (worker.isLate()) throw new ConflictError('evaluated too slowly: others may have gone on')
    await events.append(tagChangesTable, select)
  }
  await closeNumber(deps, seq)
}

/** From here on nothing is appended under this number or a lower one, whoever is still about to. */
export async function closeNumber({ events }: Pick<Deps, 'events'>, seq: number): Promise<void> {
  await events.insert(closedNumbersTable, [{ seq }], `closed:${seq}`)
}
