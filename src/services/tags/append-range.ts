import { closedNumbersTable, tagChangesTable } from '../../domain/events/tables.js'
import { compileAppend, passesOf } from '../../domain/rules/compile.js'
import { ConflictError } from '../../errors.js'
import type { Deps } from '../runtime/deps.js'
import type { Evaluation } from './evaluate-profiles.js'
import { type Range, rangeAlone, type SetAside } from './range-alone.js'

/**
 * Records what differs from the state, in a statement inside the engine (or a few, where tags read tags on many levels):
 * the log is the outbox, and `feedRange` acts on it. Profiles that ingest has overtaken are left out; of the others nothing
 * is read that groups after this number brought.
 *
 * It may be repeated: what has arrived is part of the state then (`tag_state` is filled from the log, behind it) and differs
 * no more; a row that arrived without its state arrives twice, which readers of the log do not mind. It may come late, since
 * the engine goes by requests and not by leases: once the number is closed it appends nothing. So it is closed before
 * anybody acts on what was appended. So what the engine refuses is appended by halves, under the same number.
 *
 * @param setAside - told of a profile for whom it cannot be worked out
 */
export async function appendRange(deps: Deps, evaluation: Evaluation, range: Range, setAside: SetAside): Promise<void> {
  const { docs, events, definitions, worker } = deps
  const { evaluables, now, seq, knownAt, cause } = evaluation
  const stamps = await docs.overtaken.find({ _id: { $gte: range.from, $lt: range.to } })
  const { segments, tags } = definitions.current
  const rules = { nowMs: now.getTime(), segments, tags }
  const append = async (part: Range) => {
    const without = stamps.map((stamp) => stamp._id).filter((id) => id >= part.from && id < part.to)
    for (const pass of passesOf(evaluables, rules)) {
      const select = compileAppend(pass, { ...rules, range: part, seq, knownAtMs: knownAt.getTime(), cause, without })
      if (worker.isLate()) throw new ConflictError('evaluated too slowly: others may have gone on')
      await events.append(tagChangesTable, select)
    }
  }
  await rangeAlone(range, append, setAside)
  await closeNumber(deps, seq)
}

/** From here on nothing is appended under this number or a lower one, whoever is still about to. */
export async function closeNumber({ events }: Pick<Deps, 'events'>, seq: number): Promise<void> {
  await events.insert(closedNumbersTable, [{ seq }], `closed:${seq}`)
}
