import { ASK_BOUNDS } from '../../bounds.js'
import { AppError, InvalidInputError } from '../../errors.js'
import { isDeeper, parseInput } from '../../parse.js'
import { hashKey } from '../../random.js'
import { said } from '../../said.js'
import { followPublished } from '../definitions/follow-published.js'
import { type AuditEntry, noteIntent, writeAudit } from './audit.js'
import type { Deps } from './deps.js'
import {
  type OnProgress,
  type OperationDeps,
  type OperationInput,
  type OperationName,
  type OperationResult,
  operations,
} from './operations.js'

/** An operation as the table holds it, for code that runs any of them: the table says that its parts fit. */
type AnyOperation = {
  effect: string
  audit?: {
    target: (input: unknown, result: unknown) => string
    input?: (input: unknown) => unknown
    looks?: (input: unknown) => boolean
  }
  run: (app: OperationDeps, input: unknown, onProgress: OnProgress) => Promise<unknown>
}

/** What the work of an operation needs, once its input is read. */
export type Begun = (onProgress?: OnProgress) => Promise<unknown>

/**
 * Reads the input of an operation; resolves to its work. This is the one way to run an operation, whichever door it came in
 * by, and here its audit row is written: once, after the work, whatever became of it. What changes something is noted before.
 *
 * @param who - see `AuditRow`
 * @throws {InvalidInputError} when the input cannot be read
 */
export async function beginOperation(
  app: OperationDeps,
  who: string,
  name: OperationName,
  given: unknown,
): Promise<Begun> {
  const operation = operations[name] as unknown as AnyOperation
  let input: unknown
  try {
    if (isDeeper(given, ASK_BOUNDS.depth)) throw tooDeep()
    input = parseInput(operations[name].input, given, 'Invalid input')
  } catch (err) {
    if (operation.audit !== undefined)
      await writeAudit(app.deps, { who, operation: name, target: '', inputHash: '', ...endOf(err) })
    throw err
  }
  return (onProgress = () => undefined) =>
    auditing(app.deps, who, name, input, async () => {
      // Whoever asks is answered by what is published now; where that cannot be read, by what was before.
      await followPublished(app.deps)
      return operation.run(app, input, onProgress)
    })
}

/** Schemas go as deep as what they read. */
function tooDeep(): InvalidInputError {
  const { depth } = ASK_BOUNDS
  return new InvalidInputError(said('输入有误', 'Invalid input'), [
    {
      path: '',
      message: said(`嵌套超过 ${depth} 层`, `lies deeper than ${depth} levels`),
      hint: said('摊平它', 'flatten it'),
    },
  ])
}

/** The same for callers who know what they ask. @throws what the operation throws */
export async function runOperation<N extends OperationName>(
  app: OperationDeps,
  who: string,
  name: N,
  input: OperationInput<N>,
  onProgress?: OnProgress,
): Promise<OperationResult<N>> {
  return (await (
    await beginOperation(app, who, name, input)
  )(onProgress)) as OperationResult<N>
}

/** Does the work of an operation on an input that was read, and writes its row; see `noteIntent`. */
export async function auditing<R>(
  deps: Pick<Deps, 'docs' | 'clock'>,
  who: string,
  name: OperationName,
  input: unknown,
  work: () => Promise<R>,
): Promise<R> {
  const { audit, effect } = operations[name] as unknown as AnyOperation
  if (audit === undefined || audit.looks?.(input) === true) return work()
  const entry = { who, operation: name, inputHash: hashKey(64, JSON.stringify(audit.input?.(input) ?? input)) }
  const target = audit.target(input, undefined)
  const noted = effect === 'read' ? undefined : await noteIntent(deps, { ...entry, target })
  let result: R
  try {
    result = await work()
  } catch (err) {
    await writeAudit(deps, { ...entry, target, ...endOf(err) })
    await noted?.()
    throw err
  }
  // Before the answer is given: nobody learns what is not on record.
  await writeAudit(deps, { ...entry, target: audit.target(input, result), outcome: 'done' })
  await noted?.()
  return result
}

const REFUSALS: ReadonlySet<string> = new Set(['invalid_input', 'not_found', 'conflict'])

function endOf(err: unknown): Pick<AuditEntry, 'outcome' | 'code'> & { code: string } {
  const code = err instanceof AppError ? err.code : 'internal'
  return { outcome: REFUSALS.has(code) ? 'refused' : 'failed', code }
}
