import { readCsvRecords } from '../connectors/csv/index.js'
import { loadCsvMapping } from '../connectors/csv/mapping.js'
import type { SourceRecordInput } from '../src/connector.js'
import { InvalidInputError, type Problem } from '../src/errors.js'
import type { Buyer } from './people.js'

/** Every customer number of the orders file with the time of its first order, or of its first cancellation. */
export async function loadBuyers(mappingFile: string): Promise<Buyer[]> {
  const problems: Problem[] = []
  const options = { onProblem: (p: Problem) => void problems.push(p) }
  const buyers = await firstOrders(readCsvRecords(await loadCsvMapping(mappingFile), options))
  if (problems.length > 0)
    throw new InvalidInputError(`${mappingFile}: the orders have problems`, problems.slice(0, 20))
  return buyers
}

type OrderRecord = Pick<SourceRecordInput, 'identifiers' | 'observedAt'> & {
  events?: readonly { name: string }[] | undefined
}

/** @param batches - records of orders, in order of time */
export async function firstOrders(
  batches: AsyncIterable<readonly OrderRecord[]> | Iterable<readonly OrderRecord[]>,
): Promise<Buyer[]> {
  const firsts = new Map<string, { at: Date; isOrder: boolean }>()
  for await (const batch of batches) {
    for (const record of batch) {
      const customer = record.identifiers[0]!.value // an order names exactly one
      const isOrder = record.events?.[0]?.name === 'order_paid'
      const first = firsts.get(customer)
      // Records come in order of time, so only a cancellation is ever replaced.
      if (first === undefined || (isOrder && !first.isOrder)) firsts.set(customer, { at: record.observedAt, isOrder })
    }
  }
  return [...firsts].map(([customer, { at }]) => ({ customer, firstAt: at }))
}
