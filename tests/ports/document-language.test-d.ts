/** What the type checker lets pass and what it refuses; `npm run types` is the test. */
import type { Filter, Path, Sort, Update } from '../../src/ports/document-language.js'
import type { IndexDefinition } from '../../src/ports/document-store.js'

type Order = {
  _id: string
  state: 'open' | 'paid'
  amountMinor?: number | undefined
  paidAt?: Date
  isGift: boolean
  notes: string[]
  lines: { sku: string; count: number }[]
  ship?: { city: string; zone?: { name: string } }
  tags: Record<string, { v: string; since: Date }>
  value: unknown
  by: { kind: 'guide'; userId: string } | { kind: 'robot'; version: number }
}
const AT = new Date(0)

export const asked: Filter<Order>[] = [
  {},
  { state: 'open', isGift: true, paidAt: AT },
  { amountMinor: null, 'ship.city': '上海', 'ship.zone.name': '浦东' },
  { state: { $in: ['open', 'paid'] }, amountMinor: { $gte: 1, $lt: 10 }, paidAt: { $not: { $gt: AT } } },
  { notes: 'a', lines: [] },
  { notes: { $in: ['a', 'b'] }, 'notes.0': 'a' },
  { 'lines.sku': 's1', 'lines.0.count': { $gt: 1 } },
  { lines: { $elemMatch: { sku: 's1', count: { $gt: 5 } } }, notes: { $elemMatch: { $gt: 'a' } } },
  { 'tags.vip': { $exists: true } },
  { value: 'anything', 'value.at.any.path': { $gt: 3 } },
  { 'by.kind': 'robot', 'by.version': 2 },
  { $or: [{ state: 'paid' }, { $and: [{ isGift: false }, { _id: { $gt: 'o1' } }] }], $nor: [{ amountMinor: 0 }] },
]

export const notAsked: Filter<Order>[] = [
  // @ts-expect-error no field
  { status: 'open' },
  // @ts-expect-error no such state
  { state: 'closed' },
  // @ts-expect-error one of them is no state
  { state: { $in: ['open', 'closed'] } },
  // @ts-expect-error a number is no text
  { amountMinor: '3' },
  // @ts-expect-error nor is it compared with one
  { amountMinor: { $gt: '3' } },
  // @ts-expect-error instants are compared with instants
  { paidAt: { $lte: 1_700_000_000_000 } },
  // @ts-expect-error whole objects are not compared
  { ship: { city: '上海' } },
  // @ts-expect-error nor have they an order
  { ship: { $gt: AT } },
  // @ts-expect-error no path
  { 'ship.town': '上海' },
  // @ts-expect-error no item is a number
  { notes: 3 },
  // @ts-expect-error no field of an item
  { lines: { $elemMatch: { price: 1 } } },
  // @ts-expect-error no operator
  { amountMinor: { $near: 1 } },
  // @ts-expect-error no operator of filters
  { $where: '1' },
  // @ts-expect-error whoever it is has no such field
  { 'by.name': 'x' },
  // @ts-expect-error inside $or as well
  { $or: [{ status: 'open' }] },
]

const tag: `tags.${string}` = `tags.${'vip'}`
export const changed: Update<Order>[] = [
  { $set: { state: 'paid', paidAt: AT, 'ship.zone.name': '浦东', lines: [] }, $unset: { amountMinor: 1, ship: 1 } },
  { $set: { 'tags.vip': { v: '1', since: AT } }, $unset: { 'tags.new': 1 } },
  { $inc: { amountMinor: 1, 'lines.0.count': -1 }, $max: { paidAt: AT }, $min: { amountMinor: 0 } },
  { $push: { notes: 'a', lines: { $each: [{ sku: 's1', count: 1 }], $slice: -5 } } },
  { $addToSet: { notes: { $each: ['a', 'b'] } } },
  { $pull: { notes: 'a', lines: { sku: 's1', count: { $lt: 1 } } } },
  { $pull: { notes: { $in: ['a', 'b'] } } },
  { $setOnInsert: { isGift: false, value: { anything: 1 } } },
]

export const notChanged: Update<Order>[] = [
  // @ts-expect-error no field
  { $set: { status: 'paid' } },
  // @ts-expect-error no such state
  { $set: { state: 'closed' } },
  // @ts-expect-error _id never changes
  { $set: { _id: 'o2' } },
  // @ts-expect-error no tag
  { $set: { 'tags.vip': '1' } },
  // @ts-expect-error a field cannot be made to be null
  { $set: { paidAt: null } },
  // @ts-expect-error no field
  { $unset: { status: 1 } },
  // @ts-expect-error texts are not counted
  { $inc: { state: 1 } },
  // @ts-expect-error of another type
  { $max: { paidAt: 5 } },
  // @ts-expect-error no list
  { $push: { state: 'open' } },
  // @ts-expect-error no item
  { $push: { lines: { sku: 's1' } } },
  // @ts-expect-error not all are items
  { $addToSet: { notes: { $each: ['a', 1] } } },
  // @ts-expect-error no field of an item
  { $pull: { lines: { price: 1 } } },
  // @ts-expect-error no operator
  { $rename: { state: 'status' } },
]

type Tagged = Pick<Order, '_id' | 'tags'>
export const tagged: Update<Tagged> = { $set: { [tag]: { v: '1', since: AT } }, $unset: { [tag]: 1 } }
// @ts-expect-error no tag
export const notTagged: Update<Tagged> = { $set: { [tag]: '1' } }

export const sorted: Sort<Order>[] = [{ paidAt: -1, 'ship.city': 1 }]
// @ts-expect-error no field
export const notSorted: Sort<Order> = { status: 1 }

export const indexed: IndexDefinition<Path<Order>>[] = [{ fields: ['state', 'paidAt'] }, { fields: ['ship.city'] }]
// @ts-expect-error no field
export const notIndexed: IndexDefinition<Path<Order>> = { fields: ['state', 'payedAt'] }
