import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { ConfigError, ConflictError, InvalidInputError, UnfitDocumentError } from '../../src/errors.js'
import type {
  Collection,
  CollectionDefinition,
  Doc,
  DocumentStore,
  FindOptions,
} from '../../src/ports/document-store.js'
import type * as language from '../../src/ports/document-language.js'

const Note = z.object({
  _id: z.union([z.string(), z.number()]),
  owner: z.string().nullish(),
  rank: z.number().nullish(),
  at: z.date().optional(),
  open: z.boolean().optional(),
  code: z.string().optional(),
  tags: z.array(z.unknown()).optional(),
  lines: z.array(z.object({ sku: z.string(), count: z.number(), price: z.number().optional() })).optional(),
  place: z.object({ city: z.string().optional(), zone: z.object({ name: z.string() }).optional() }).optional(),
  n: z.unknown().optional(),
  text: z.string().optional(),
})
/** Adapters check queries and updates when they are called, so the compiler lets wrong ones pass here. */
type Note = z.infer<typeof Note> & Record<string, unknown>
type Filter = language.Filter<Note>
type Update = language.Update<Note>

const NOTES: CollectionDefinition<Note> = {
  name: 'notes',
  version: 1,
  schema: Note,
  indexes: [
    { fields: ['owner', 'rank'] },
    { fields: ['at'] },
    { fields: ['open'] },
    { fields: ['place.city'] },
    { fields: ['code'], unique: true, sparse: true },
  ],
}

const DAY = (day: number) => new Date(Date.UTC(2011, 0, day))

const SAMPLE: Note[] = [
  {
    _id: 'a',
    owner: 'li',
    rank: 3,
    at: DAY(1),
    open: true,
    tags: ['x', 'y'],
    place: { city: '上海', zone: { name: '浦东' } },
    n: 1,
  },
  { _id: 'b', owner: 'li', rank: 1, at: DAY(2), open: false, tags: ['y'], lines: [{ sku: 's1', count: 2 }], n: null },
  { _id: 'c', owner: 'wu', rank: 2, at: DAY(3), tags: [], place: { city: '杭州' }, lines: [{ sku: 's2', count: 5 }] },
  {
    _id: 'd',
    owner: 'wu',
    rank: 2,
    open: true,
    tags: [1, 'x'],
    lines: [
      { sku: 's1', count: 9 },
      { sku: 's2', count: 1 },
    ],
    n: 'one',
  },
  { _id: 'e', owner: null, at: DAY(4), place: {}, n: [1, 2] },
  { _id: 'f', rank: 10, n: 12 },
]

/**
 * Every promise of `src/ports/document-store.ts`. `open` must give, for one `key`, the same storage again and again
 * (that is how reopening is tested), and for another key another one.
 */
export function documentStoreContract(name: string, open: (key: string) => Promise<DocumentStore>): void {
  describe(`${name} keeps the DocumentStore contract`, () => {
    let count = 0
    let key: string
    let store: DocumentStore
    let notes: Collection<Note>

    beforeEach(async () => {
      key = `contract${(count += 1)}`
      store = await open(key)
      await store.drop()
      notes = await store.collection(NOTES)
    })
    afterEach(async () => {
      await store.drop()
      await store.close()
    })

    const idsOf = async (filter: Filter) => (await notes.find(filter)).map((note) => note._id)
    const after = async (doc: Note, update: Update) => {
      await notes.put([doc])
      expect(await notes.update(doc._id, update)).toBe(true)
      return notes.get(doc._id)
    }

    describe('queries', () => {
      beforeEach(async () => {
        await notes.insert(SAMPLE)
      })

      it.each<[string, Filter, string]>([
        ['everything', {}, 'abcdef'],
        ['equality on an indexed field', { owner: 'li' }, 'ab'],
        ['equality on another field', { n: 1 }, 'ae'],
        ['a list contains', { tags: 'x' }, 'ad'],
        ['a list contains a number', { tags: 1 }, 'd'],
        ['a whole list', { tags: ['x', 'y'] }, 'a'],
        ['an empty list', { tags: [] }, 'c'],
        ['$eq', { rank: { $eq: 2 } }, 'cd'],
        ['$ne, which missing and null fulfil', { owner: { $ne: 'li' } }, 'cdef'],
        ['$ne null', { rank: { $ne: null } }, 'abcdf'],
        ['$gt', { rank: { $gt: 2 } }, 'af'],
        ['$gte', { rank: { $gte: 2 } }, 'acdf'],
        ['$lt', { rank: { $lt: 2 } }, 'b'],
        ['$lte', { rank: { $lte: 2 } }, 'bcd'],
        ['two bounds', { rank: { $gte: 2, $lt: 10 } }, 'acd'],
        ['bounds on a field without index', { n: { $gte: 1, $lte: 12 } }, 'aef'],
        ['dates', { at: { $gt: DAY(1), $lte: DAY(3) } }, 'bc'],
        ['equality of dates', { at: DAY(2) }, 'b'],
        ['booleans', { open: true }, 'ad'],
        ['false is not missing', { open: { $ne: true } }, 'bcef'],
        ['$in', { owner: { $in: ['wu', 'nobody'] } }, 'cd'],
        ['$in with null', { owner: { $in: ['wu', null] } }, 'cdef'],
        ['$in with dates', { at: { $in: [DAY(1), DAY(4)] } }, 'ae'],
        ['$in of nothing', { owner: { $in: [] } }, ''],
        ['$in into a list', { tags: { $in: ['y', 1] } }, 'abd'],
        ['$nin', { owner: { $nin: ['wu', null] } }, 'ab'],
        ['$nin of nothing', { rank: { $nin: [] } }, 'abcdef'],
        ['$exists', { owner: { $exists: true } }, 'abcde'],
        ['$exists false', { owner: { $exists: false } }, 'f'],
        ['null is missing too', { owner: null }, 'ef'],
        ['null without index', { n: null }, 'bc'],
        ['$and', { $and: [{ owner: 'wu' }, { open: true }] }, 'd'],
        ['$or', { $or: [{ owner: 'li' }, { rank: 10 }] }, 'abf'],
        [
          '$or, partly without index',
          {
            $or: [
              { owner: 'li', n: 1 },
              { rank: 2, tags: 'x' },
            ],
          },
          'ad',
        ],
        ['$nor', { $nor: [{ owner: 'li' }, { rank: 10 }] }, 'cde'],
        ['$not', { rank: { $not: { $gt: 2 } } }, 'bcde'],
        ['$not on a field without index', { tags: { $not: { $in: ['y'] } } }, 'cdef'],
        ['a dotted path', { 'place.city': '上海' }, 'a'],
        ['a deeper path', { 'place.zone.name': '浦东' }, 'a'],
        ['a path through a list', { 'lines.sku': 's2' }, 'cd'],
        ['a path with a position', { 'lines.1.sku': 's2' }, 'd'],
        ['$elemMatch', { lines: { $elemMatch: { sku: 's1', count: { $gt: 5 } } } }, 'd'],
        ['without $elemMatch items may differ', { 'lines.sku': 's1', 'lines.count': 1 }, 'd'],
        ['$elemMatch on values', { n: { $elemMatch: { $gt: 1, $lt: 3 } } }, 'e'],
        ['a number is never a text', { n: { $gt: 0 } }, 'aef'],
        ['a text is never a number', { n: { $gt: '' } }, 'd'],
        ['a bound of another type matches nothing', { rank: { $gt: '' } }, ''],
        ['ids', { _id: { $in: ['b', 'f', 'zz'] } }, 'bf'],
        ['a range of ids', { _id: { $gt: 'b', $lt: 'e' } }, 'cd'],
      ])('finds by %s', async (_name, filter, ids) => {
        expect((await idsOf(filter)).join('')).toBe(ids)
        expect(await notes.count(filter)).toBe(ids.length)
      })

      it.each<[string, Filter]>([
        ['an unknown operator', { rank: { $near: 1 } }],
        ['an unknown logical operator', { $where: '1' }],
        ['an undefined value', { owner: undefined }],
        ['a whole object', { place: { city: '上海' } }],
        ['$in without a list', { rank: { $in: 3 } }],
      ])('refuses %s and says where', async (_name, filter) => {
        await expect(notes.find(filter)).rejects.toBeInstanceOf(InvalidInputError)
        await expect(notes.delete(filter)).rejects.toThrow(/\$|owner|place/)
        expect(await notes.count({})).toBe(6)
      })

      it('sorts in MongoDB order, ties by ascending _id, in both directions', async () => {
        const ids = async (sort: Record<string, 1 | -1>) => (await notes.find({}, { sort })).map((n) => n._id).join('')
        expect(await ids({ rank: 1 })).toBe('ebcdaf')
        expect(await ids({ rank: -1 })).toBe('facdbe')
        expect(await ids({ owner: -1, rank: 1 })).toBe('cdbaef')
        expect(await ids({ at: -1 })).toBe('ecbadf')
        expect(await ids({ _id: -1 })).toBe('fedcba')
        // Without an index: null and missing, numbers (a list by its smallest item), texts.
        expect(await ids({ n: 1 })).toBe('bcaefd')
        expect(await ids({ n: -1 })).toBe('dfeabc')
        expect(await ids({ 'lines.count': 1 })).toBe('aefdbc')
      })

      it('limits and skips after sorting', async () => {
        expect((await notes.find({}, { sort: { rank: 1 }, skip: 1, limit: 2 })).map((n) => n._id)).toEqual(['b', 'c'])
        expect((await notes.find({ tags: 'x' }, { sort: { n: -1 }, limit: 1 })).map((n) => n._id)).toEqual(['d'])
        expect((await notes.find({ n: { $ne: 1 } }, { skip: 2, limit: 2 })).map((n) => n._id)).toEqual(['d', 'f'])
        expect(await notes.find({}, { limit: 0 })).toEqual([])
      })

      it('finds the first in sort order', async () => {
        expect((await notes.findOne({ owner: 'wu' }))?._id).toBe('c')
        expect((await notes.findOne({}, { sort: { rank: -1 } }))?._id).toBe('f')
        expect((await notes.findOne({ tags: 'x' }, { sort: { n: -1 } }))?._id).toBe('d')
        expect(await notes.findOne({ owner: 'nobody' })).toBeUndefined()
      })

      it('gets by id, absent ids are undefined or left out', async () => {
        expect(await notes.get('a')).toEqual(SAMPLE[0])
        expect(await notes.get('zz')).toBeUndefined()
        expect((await notes.getMany(['f', 'zz', 'a', 'f'])).map((n) => n._id)).toEqual(['a', 'f'])
        expect(await notes.getMany([])).toEqual([])
      })

      it('compares instants to the millisecond', async () => {
        const just = (ms: number) => new Date(DAY(2).getTime() + ms)
        for (const ms of [-1, 1]) {
          await notes.put([{ _id: 'b', at: just(ms) }])
          expect(await idsOf({ at: just(ms) })).toEqual(['b'])
          expect(await idsOf({ at: { $gte: just(-1), $lt: just(ms) } })).toEqual([])
          expect(await idsOf({ at: { $gt: just(ms - 1), $lte: just(ms) } })).toEqual(['b'])
        }
      })

      it('deletes matches and says how many', async () => {
        expect(await notes.delete({ owner: 'li' })).toBe(2)
        expect(await notes.delete({ tags: 1 })).toBe(1)
        expect(await notes.delete({ _id: 'zz' })).toBe(0)
        expect(await idsOf({})).toEqual(['c', 'e', 'f'])
      })
    })

    describe('documents', () => {
      it('come back as they went in: dates, unicode, null, nesting', async () => {
        const doc: Note = {
          _id: '客户-1',
          owner: null,
          at: new Date(-1),
          text: '私域 𠮷野家 👩‍👩‍👧 "quoted" \\ \n end',
          tags: [DAY(1), { when: DAY(2), deep: [[DAY(3)]] }, null, 1.5, -7, true],
          place: {},
          n: { late: new Date(8.64e15), early: new Date(-8.64e15), big: 2 ** 53 - 1 },
        }
        await notes.insert([doc])
        expect(await notes.get('客户-1')).toEqual(doc)
        expect(await notes.find({ text: doc.text })).toEqual([doc])
      })

      it('have no more fields than they were given', async () => {
        await notes.insert([{ _id: 'a' }])
        await notes.update('a', { $set: { n: 1 } })
        for (const doc of [
          await notes.get('a'),
          await notes.findOne({}),
          (await notes.find({}))[0],
          (await notes.getMany(['a']))[0],
        ]) {
          expect(Object.keys(doc!).sort()).toEqual(['_id', 'n'])
        }
        const updated = await notes.findOneAndUpdate({ _id: 'a' }, { $set: { n: 2 } })
        expect(updated).toEqual({ _id: 'a', n: 2 })
      })

      it('leave out undefined fields', async () => {
        await notes.insert([{ _id: 'a', text: undefined, n: { x: undefined, y: 1 } }])
        expect(Object.keys((await notes.get('a'))!)).toEqual(['_id', 'n'])
        expect(await notes.count({ 'n.x': { $exists: false } })).toBe(1)
      })

      it('order integer ids as numbers, before texts', async () => {
        await notes.insert([{ _id: 10 }, { _id: 9 }, { _id: '10' }, { _id: 2 ** 40 }, { _id: 100 }])
        expect(await idsOf({})).toEqual([9, 10, 100, 2 ** 40, '10'])
        expect(await notes.get(10)).toEqual({ _id: 10 })
        expect(await notes.get('10')).toEqual({ _id: '10' })
        expect((await notes.getMany([100, '10', 9])).map((n) => n._id)).toEqual([9, 100, '10'])
        const seen: unknown[] = []
        for await (const batch of notes.scan({}, 2)) seen.push(...batch.map((n) => n._id))
        expect(seen).toEqual([9, 10, 100, 2 ** 40, '10'])
      })

      it('are not changed by what callers do with their objects', async () => {
        const doc: Note = { _id: 'a', place: { city: 'x' } }
        const inserted = notes.insert([doc])
        await inserted
        doc.place!.city = 'changed'
        const read = await notes.get('a')
        read!.place!.city = 'changed too'
        expect(await notes.get('a')).toEqual({ _id: 'a', place: { city: 'x' } })
      })

      it('refuses a document without a usable _id, and lists in indexed fields', async () => {
        await expect(notes.insert([{ _id: 'ok' }, { _id: '' }])).rejects.toBeInstanceOf(InvalidInputError)
        await expect(notes.put([{ _id: 1.5 }])).rejects.toThrow(/_id/)
        // An engine would end the key there, or hand back another one.
        for (const _id of ['a\0b', 'half\ud800x']) {
          await expect(notes.put([{ _id }])).rejects.toThrow(/_id/)
          await expect(notes.updateEach([{ id: _id, update: { $set: { rank: 1 } }, upsert: true }])).rejects.toThrow(
            /_id/,
          )
        }
        await expect(notes.insert([{ _id: 'l', owner: ['x'] as unknown as string }])).rejects.toThrow(/owner/)
        expect(await notes.count({})).toBe(0)
      })
    })

    describe('reads', () => {
      it('keep fields that this version does not know, also through a put', async () => {
        const doc = {
          _id: 'a',
          rank: 1,
          later: { since: DAY(1) },
          place: { city: '上海', later: [DAY(2)] },
          lines: [{ sku: 's1', count: 1, later: 'x' }],
        }
        await notes.insert([doc])
        const read = await notes.get('a')
        expect(read).toEqual(doc)
        await notes.put([{ ...read!, rank: 2 }])
        expect(await notes.find({})).toEqual([{ ...doc, rank: 2 }])
      })

      const roads: [string, (notes: Collection<Note>) => Promise<unknown>][] = [
        ['get', (c) => c.get('b')],
        ['getMany', (c) => c.getMany(['a', 'b', 'c'])],
        ['find', (c) => c.find({ rank: 1 })],
        ['findOne', (c) => c.findOne({ rank: 1 }, { sort: { _id: -1 } })],
        [
          'scan',
          async (c) => {
            for await (const docs of c.scan({ rank: 1 })) expect(docs).toBeUndefined()
          },
        ],
        ['findOneAndUpdate', (c) => c.findOneAndUpdate({ _id: 'b' }, { $set: { open: true } })],
      ]
      it.each(roads)(
        'by %s refuse a document that does not fit, name it, and do not tell its values',
        async (_n, road) => {
          await notes.insert([
            { _id: 'a', rank: 1 },
            { _id: 'b', rank: 1, text: 13_800_000_000, lines: [{ sku: 's1', count: '13800000000' }] },
          ] as unknown as Note[])
          const refusal = await road(notes).catch((err: unknown) => err)
          expect(refusal).toBeInstanceOf(UnfitDocumentError)
          const { collection, id, problems, message } = refusal as UnfitDocumentError
          expect({ collection, id, paths: problems.map((p) => p.path) }).toEqual({
            collection: 'notes',
            id: 'b',
            paths: ['lines.0.count', 'text'],
          })
          expect(message).toBe(
            'stored document notes/b cannot be used: lines.0.count: found a string, expected number; text: found a number, expected string',
          )
          // It can still be put right, or removed.
          await notes.update('b', { $set: { text: 'x', 'lines.0.count': 2 } })
          expect(await notes.get('b')).toMatchObject({ text: 'x', lines: [{ sku: 's1', count: 2 }] })
        },
      )

      it('leave those out where they are asked to, and list them until they are put right or gone', async () => {
        const unfit = (_id: string) => ({ _id, owner: 'li', rank: 1, text: 5 }) as unknown as Note
        const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
        await notes.insert(ids.map((_id) => ('acdg'.includes(_id) ? unfit(_id) : { _id, owner: 'li', rank: 1 })))
        const idsOfFitting = async (options: FindOptions<Note>) =>
          (await notes.find({ owner: 'li' }, { ...options, skipUnfit: true })).map((note) => note._id).join('')
        expect(await idsOfFitting({})).toBe('befh')
        expect(await idsOfFitting({ limit: 1 })).toBe('b')
        expect(await idsOfFitting({ limit: 3 })).toBe('bef')
        expect(await idsOfFitting({ limit: 9, sort: { rank: 1, _id: -1 } })).toBe('hfeb')
        expect(await idsOfFitting({ limit: 0 })).toBe('')
        expect((await notes.findOne({ rank: 1 }, { skipUnfit: true }))?._id).toBe('b')
        expect(await notes.findOne({ _id: 'c' }, { skipUnfit: true })).toBeUndefined()
        const listed = async () => (await store.unfit()).map(({ id }) => id).sort()
        expect(await listed()).toEqual(['a', 'c', 'd', 'g'])
        await notes.update('c', { $set: { text: 'put right' } })
        await notes.delete({ _id: 'd' })
        expect(await listed()).toEqual(['a', 'g'])
      })

      it('do not tell an _id that may be a phone number', async () => {
        const people = await store.collection({
          name: 'people',
          version: 1,
          schema: z.object({ _id: z.string(), age: z.number(), state: z.enum(['here', 'gone']) }),
          isIdPrivate: true,
        })
        await people.insert([{ _id: 'phone:13800000000', state: 'away' } as never])
        const refusal = (await people.get('phone:13800000000').catch((err: unknown) => err)) as UnfitDocumentError
        expect(refusal.message).toMatch(
          /^stored document people\/sha256:[0-9a-f]{12} cannot be used: age: found nothing, expected number; state: found a string, expected here, gone$/,
        )
        expect(JSON.stringify(refusal.details)).not.toContain('138')
      })
    })

    describe('insert and put', () => {
      it('insert refuses taken ids, in the store and in the batch, and overwrites nothing', async () => {
        await notes.insert([{ _id: 'a', n: 1 }])
        const { refused } = await notes.insert([
          { _id: 'b' },
          { _id: 'a', n: 2 },
          { _id: 'c', n: 1 },
          { _id: 'c', n: 2 },
        ])
        expect(refused).toEqual(['a', 'c'])
        expect(await notes.find({})).toEqual([{ _id: 'a', n: 1 }, { _id: 'b' }, { _id: 'c', n: 1 }])
      })

      it('insert refuses taken unique keys; many documents may lack a sparse one', async () => {
        const { refused } = await notes.insert([
          { _id: 'a', code: 'k' },
          { _id: 'b', code: 'k' },
          { _id: 'c' },
          { _id: 'd' },
        ])
        expect(refused).toEqual(['b'])
        expect(await idsOf({})).toEqual(['a', 'c', 'd'])
      })

      it('insert keeps compound unique keys', async () => {
        const links = await store.collection({
          name: 'links',
          version: 1,
          schema: z.object({ _id: z.number(), a: z.string(), b: z.date() }),
          indexes: [{ fields: ['a', 'b'], unique: true }],
        })
        const { refused } = await links.insert([
          { _id: 1, a: 'x', b: DAY(1) },
          { _id: 2, a: 'x', b: DAY(2) },
          { _id: 3, a: 'x', b: DAY(1) },
        ])
        expect(refused).toEqual([3])
        await expect(links.insert([{ _id: 4, a: 'x' } as never])).rejects.toThrow(/links\.b.*unique/)
        await expect(links.update(1, { $unset: { b: '' } })).rejects.toThrow(/unique/)
      })

      it('insert and put of nothing do nothing', async () => {
        expect(await notes.insert([])).toEqual({ refused: [] })
        await notes.put([])
        await notes.updateEach([])
        expect(await notes.count({})).toBe(0)
      })

      it('put inserts or replaces whole documents, the last of a batch wins', async () => {
        await notes.put([{ _id: 'a', n: 1, text: 'old' }])
        await notes.put([
          { _id: 'a', n: 2 },
          { _id: 'b', n: 1 },
          { _id: 'b', n: 2 },
        ])
        expect(await notes.find({})).toEqual([
          { _id: 'a', n: 2 },
          { _id: 'b', n: 2 },
        ])
      })

      it('put leaves a document alone whose field is greater, and replaces others', async () => {
        await notes.put([
          { _id: 'absent', text: 'old' },
          { _id: 'equal', rank: 5, text: 'old' },
          { _id: 'greater', rank: 6, text: 'kept' },
          { _id: 'late', at: DAY(2), text: 'old' },
          { _id: 'later', at: DAY(4), text: 'kept' },
          { _id: 'null', rank: null, text: 'old' },
          { _id: 'smaller', rank: 4, text: 'old' },
        ])
        await notes.put(
          ['absent', 'equal', 'greater', 'greater', 'new', 'null', 'smaller'].map((_id) => ({
            _id,
            rank: 5,
            text: 'put',
          })),
          { unlessNewer: 'rank' },
        )
        const put = ['late', 'later', 'latest'].map((_id) => ({ _id, at: DAY(3), text: 'put' }))
        await notes.put(put, { unlessNewer: 'at' })
        const texts = (await notes.find({})).map((note) => [note._id, note.text])
        expect(Object.fromEntries(texts)).toEqual({
          absent: 'put',
          equal: 'put',
          greater: 'kept',
          late: 'put',
          later: 'kept',
          latest: 'put',
          new: 'put',
          null: 'put',
          smaller: 'put',
        })
        expect((await notes.find({ rank: 6 })).map((note) => note._id)).toEqual(['greater'])
        await expect(notes.put([{ _id: 'a', text: 'x' }], { unlessNewer: 'text' })).rejects.toThrow(/unlessNewer/)
      })

      it('put of two writers with different numbers leaves the greater, whoever comes first', async () => {
        const ids = Array.from({ length: 50 }, (_, i) => `d${i}`)
        const write = (rank: number) =>
          notes.put(
            ids.map((_id) => ({ _id, rank })),
            { unlessNewer: 'rank' },
          )
        await Promise.all([write(2), write(3), write(1)])
        expect(new Set((await notes.find({})).map((note) => note.rank))).toEqual(new Set([3]))
      })

      it('updateEach frees a unique key for the items behind', async () => {
        await notes.put([{ _id: 'a', code: '1' }, { _id: 'b' }, { _id: 'c', code: '3' }])
        await notes.updateEach([
          { id: 'a', update: { $unset: { code: 1 } } },
          { id: 'd', update: { $set: { code: '1' } }, upsert: true },
          { id: 'b', update: { $set: { n: 2 } } },
          { id: 'c', update: { $unset: { code: 1 } } },
          { id: 'b', update: { $set: { code: '3' } } },
        ])
        const codes = [{ _id: 'a' }, { _id: 'b', code: '3', n: 2 }, { _id: 'c' }, { _id: 'd', code: '1' }]
        expect(await notes.find({})).toEqual(codes)
      })

      it('put and update say when another unique key is taken, without telling its value', async () => {
        await notes.put([{ _id: 'a', code: '13800000000' }])
        const errors = [
          await notes.put([{ _id: 'b', code: '13800000000' }]).catch((err: unknown) => err),
          await notes
            .put([{ _id: 'c' }])
            .then(() => notes.update('c', { $set: { code: '13800000000' } }))
            .catch((err: unknown) => err),
          await notes
            .updateEach([{ id: 'd', update: { $set: { code: '13800000000' } }, upsert: true }])
            .catch((err: unknown) => err),
          await notes
            .findOneAndUpdate({ _id: 'e' }, { $set: { code: '13800000000' } }, { upsert: true })
            .catch((err: unknown) => err),
        ]
        for (const err of errors) {
          expect(err).toBeInstanceOf(ConflictError)
          expect((err as Error).message).toMatch(/code/)
          expect((err as Error).message).not.toMatch(/138/)
        }
        expect(await idsOf({})).toEqual(['a', 'c'])
        await notes.put([
          { _id: 'a', code: 'new' },
          { _id: 'b', code: '13800000000' },
        ])
        expect(await notes.count({ code: '13800000000' })).toBe(1)
      })
    })

    describe('updates', () => {
      it.each<[string, Note, Update, Note]>([
        ['$set', { _id: 1, n: 1 }, { $set: { n: 2, text: 'x' } }, { _id: 1, n: 2, text: 'x' }],
        [
          '$set by path',
          { _id: 1, place: { city: 'a' } },
          { $set: { 'place.zone.name': 'b' } },
          { _id: 1, place: { city: 'a', zone: { name: 'b' } } },
        ],
        ['$set makes the way', { _id: 1 }, { $set: { 'place.city': 'b' } }, { _id: 1, place: { city: 'b' } }],
        [
          '$set in a list',
          { _id: 1, tags: [{ a: 1 }, 2] },
          { $set: { 'tags.0.a': 5, 'tags.3': 4 } },
          { _id: 1, tags: [{ a: 5 }, 2, null, 4] },
        ],
        ['$set a date', { _id: 1, at: DAY(1) }, { $set: { at: DAY(2) } }, { _id: 1, at: DAY(2) }],
        ['$set null', { _id: 1, owner: 'x' }, { $set: { owner: null } }, { _id: 1, owner: null }],
        [
          '$unset',
          { _id: 1, owner: 'x', place: { city: 'a' } },
          { $unset: { owner: '', 'place.city': '', n: '' } },
          { _id: 1, place: {} },
        ],
        ['$inc', { _id: 1, rank: 1 }, { $inc: { rank: -3, 'n.x': 2 } }, { _id: 1, rank: -2, n: { x: 2 } }],
        [
          '$min',
          { _id: 1, rank: 5, at: DAY(5) },
          { $min: { rank: 3, at: DAY(6), n: 1 } },
          { _id: 1, rank: 3, at: DAY(5), n: 1 },
        ],
        [
          '$max',
          { _id: 1, rank: 5, at: DAY(5) },
          { $max: { rank: 3, at: DAY(6), n: 1 } },
          { _id: 1, rank: 5, at: DAY(6), n: 1 },
        ],
        [
          '$push',
          { _id: 1, tags: [1] },
          { $push: { tags: 2, lines: { sku: 's', count: 1 } } },
          { _id: 1, tags: [1, 2], lines: [{ sku: 's', count: 1 }] },
        ],
        ['$push a list as one item', { _id: 1, tags: [1] }, { $push: { tags: [2, 3] } }, { _id: 1, tags: [1, [2, 3]] }],
        ['$push $each', { _id: 1, tags: [1] }, { $push: { tags: { $each: [2, 3] } } }, { _id: 1, tags: [1, 2, 3] }],
        [
          '$push $slice keeps the last',
          { _id: 1, tags: [1, 2] },
          { $push: { tags: { $each: [3, 4], $slice: -3 } } },
          { _id: 1, tags: [2, 3, 4] },
        ],
        [
          '$push $slice keeps the first',
          { _id: 1, tags: [1, 2] },
          { $push: { tags: { $each: [3, 4], $slice: 3 } } },
          { _id: 1, tags: [1, 2, 3] },
        ],
        [
          '$push $slice 0',
          { _id: 1, tags: [1, 2] },
          { $push: { tags: { $each: [3], $slice: 0 } } },
          { _id: 1, tags: [] },
        ],
        [
          '$addToSet',
          { _id: 1, tags: [1] },
          { $addToSet: { tags: { $each: [1, 2, 2] }, n: 'a' } },
          { _id: 1, tags: [1, 2], n: ['a'] },
        ],
        [
          '$addToSet of objects',
          { _id: 1, tags: [{ a: 1 }] },
          { $addToSet: { tags: { $each: [{ a: 1 }, { a: 2 }] } } },
          { _id: 1, tags: [{ a: 1 }, { a: 2 }] },
        ],
        ['$pull a value', { _id: 1, tags: [1, 2, 1] }, { $pull: { tags: 1, n: 5 } }, { _id: 1, tags: [2] }],
        ['$pull by operators', { _id: 1, tags: [1, 5, 9] }, { $pull: { tags: { $gte: 5 } } }, { _id: 1, tags: [1] }],
        [
          '$pull by fields',
          {
            _id: 1,
            lines: [
              { sku: 'a', count: 1 },
              { sku: 'b', count: 2 },
            ],
          },
          { $pull: { lines: { sku: 'a' } } },
          { _id: 1, lines: [{ sku: 'b', count: 2 }] },
        ],
        ['$setOnInsert not', { _id: 1 }, { $setOnInsert: { n: 1 }, $set: { text: 'x' } }, { _id: 1, text: 'x' }],
        [
          'several at once',
          { _id: 1, rank: 1, tags: ['a'] },
          { $inc: { rank: 1 }, $push: { tags: 'b' }, $set: { open: true } },
          { _id: 1, rank: 2, tags: ['a', 'b'], open: true },
        ],
      ])('apply %s', async (_name, before, update, expected) => {
        expect(await after(before, update)).toEqual(expected)
      })

      it.each<[string, Update]>([
        ['_id', { $set: { _id: 2 } }],
        ['an unknown operator', { $rename: { n: 'm' } } as unknown as Update],
        ['one path twice', { $set: { 'n.x': 1 }, $inc: { n: 1 } }],
        ['undefined', { $set: { n: undefined } }],
        ['$inc by a text', { $inc: { n: '1' } }],
        ['$each that is no list', { $push: { tags: { $each: 1 } } }],
      ])('refuse %s', async (_name, update) => {
        await notes.insert([{ _id: 1, n: 1, tags: [] }])
        await expect(notes.update(1, update)).rejects.toBeInstanceOf(InvalidInputError)
        await expect(notes.updateMany({}, update)).rejects.toBeInstanceOf(InvalidInputError)
        expect(await notes.get(1)).toEqual({ _id: 1, n: 1, tags: [] })
      })

      it.each<[string, Update]>([
        ['$inc on a text', { $inc: { text: 1 } }],
        ['$push on a text', { $push: { text: 1 } }],
        ['a path through a text', { $set: { 'text.x': 1 } }],
      ])('refuse %s in the document, which stays', async (_name, update) => {
        await notes.insert([{ _id: 1, text: 'x' }])
        await expect(notes.update(1, update)).rejects.toBeInstanceOf(InvalidInputError)
        expect(await notes.get(1)).toEqual({ _id: 1, text: 'x' })
      })

      it('keep indexed fields findable', async () => {
        await notes.insert([{ _id: 1, owner: 'a', rank: 1 }])
        await notes.update(1, { $set: { owner: 'b' }, $inc: { rank: 1 } })
        expect(await idsOf({ owner: 'a' })).toEqual([])
        expect(await idsOf({ owner: 'b', rank: 2 })).toEqual([1])
        await notes.update(1, { $unset: { owner: '' } })
        expect(await idsOf({ owner: null })).toEqual([1])
      })

      it('update says whether the document was there and matched', async () => {
        await notes.insert([{ _id: 'a', rank: 1, n: 'x' }])
        expect(await notes.update('zz', { $set: { n: 1 } })).toBe(false)
        expect(await notes.update('a', { $set: { rank: 2 } }, { rank: 7 })).toBe(false)
        expect(await notes.update('a', { $set: { rank: 2 } }, { rank: 1, n: 'x' })).toBe(true)
        expect(await notes.update('a', { $set: { rank: 2 } }, { n: 'y' })).toBe(false)
        expect(await notes.update('a', { $set: { rank: 2 } })).toBe(true)
        expect(await notes.find({})).toEqual([{ _id: 'a', rank: 2, n: 'x' }])
      })

      it('update with where lets one of 50 concurrent callers through per version', async () => {
        await notes.insert([{ _id: 'a', rank: 0, n: [] }])
        for (const version of [0, 1, 2]) {
          const done = await Promise.all(
            Array.from({ length: 50 }, (_, i) =>
              notes.update('a', { $inc: { rank: 1 }, $push: { n: i } }, { rank: version }),
            ),
          )
          expect(done.filter(Boolean)).toHaveLength(1)
        }
        const doc = await notes.get('a')
        expect([doc?.rank, (doc?.n as number[]).length]).toEqual([3, 3])
      })

      it('no concurrent increment is lost', async () => {
        await notes.insert([{ _id: 'a', rank: 0 }])
        await Promise.all(Array.from({ length: 50 }, () => notes.update('a', { $inc: { rank: 1 } })))
        expect((await notes.get('a'))?.rank).toBe(50)
      })

      it('updateEach applies in order, honours where, makes absent documents only with upsert', async () => {
        await notes.insert([{ _id: 'a', rank: 1 }])
        await notes.updateEach([
          { id: 'a', update: { $set: { n: 'first' } } },
          { id: 'a', update: { $set: { n: 'second' } }, where: { n: 'first' } },
          { id: 'a', update: { $set: { n: 'never' } }, where: { n: 'first' }, upsert: true },
          { id: 'b', update: { $set: { n: 'never' } } },
          { id: 'c', update: { $inc: { rank: 1 }, $setOnInsert: { text: 'made' } }, upsert: true },
          { id: 'c', update: { $inc: { rank: 1 }, $setOnInsert: { text: 'never' } }, upsert: true },
          { id: 'd', update: { $set: { open: true } }, where: { owner: 'x', rank: { $gt: 3 } }, upsert: true },
          { id: 'a', update: { $inc: { rank: 1 } } },
        ])
        expect(await notes.find({})).toEqual([
          { _id: 'a', rank: 2, n: 'second' },
          { _id: 'c', rank: 2, text: 'made' },
          { _id: 'd', open: true },
        ])
      })

      it('concurrent upserts of one id make one document', async () => {
        await Promise.all(
          Array.from({ length: 50 }, () =>
            notes.updateEach([{ id: 'a', update: { $inc: { rank: 1 }, $setOnInsert: { n: 1 } }, upsert: true }]),
          ),
        )
        expect(await notes.find({})).toEqual([{ _id: 'a', rank: 50, n: 1 }])
      })

      it('updateMany counts matches, changed or not', async () => {
        await notes.insert(SAMPLE)
        expect(await notes.updateMany({ owner: 'li' }, { $set: { owner: 'li', text: 'x' } })).toBe(2)
        expect(await notes.updateMany({ tags: 'x' }, { $inc: { rank: 1 } })).toBe(2)
        expect(await notes.updateMany({ owner: 'nobody' }, { $set: { n: 0 } })).toBe(0)
        expect(await idsOf({ text: 'x' })).toEqual(['a', 'b'])
        expect(await idsOf({ rank: 4 })).toEqual(['a'])
      })

      it('findOneAndUpdate takes the first in sort order and gives it as it is afterwards', async () => {
        await notes.insert(SAMPLE)
        expect(await notes.findOneAndUpdate({ owner: 'wu' }, { $inc: { rank: 5 } })).toEqual({ ...SAMPLE[2], rank: 7 })
        expect((await notes.findOneAndUpdate({}, { $set: { text: 'x' } }, { sort: { rank: -1 } }))?._id).toBe('f')
        expect(await notes.findOneAndUpdate({ owner: 'nobody' }, { $set: { n: 0 } })).toBeUndefined()
        expect(await notes.count({ n: 0 })).toBe(0)
      })

      it('findOneAndUpdate hands each item to one of 50 concurrent callers', async () => {
        await notes.insert(
          Array.from({ length: 40 }, (_, i) => ({ _id: `j${String(i).padStart(2, '0')}`, owner: 'free', rank: i })),
        )
        const taken = await Promise.all(
          Array.from({ length: 50 }, (_, i) =>
            notes.findOneAndUpdate({ owner: 'free' }, { $set: { owner: `w${i}` } }, { sort: { rank: 1 } }),
          ),
        )
        const ids = taken.flatMap((doc) => (doc === undefined ? [] : [doc._id]))
        expect(ids).toHaveLength(40)
        expect(new Set(ids).size).toBe(40)
      })

      it('findOneAndUpdate with upsert starts from the equalities of the filter', async () => {
        const update: Update = { $inc: { rank: 1 }, $setOnInsert: { text: 'made' } }
        const filter: Filter = { _id: 'a', 'place.city': '上海', n: { $eq: 5 } }
        expect(await notes.findOneAndUpdate(filter, update, { upsert: true })).toEqual({
          _id: 'a',
          place: { city: '上海' },
          n: 5,
          rank: 1,
          text: 'made',
        })
        expect((await notes.findOneAndUpdate(filter, update, { upsert: true }))?.rank).toBe(2)
        await expect(notes.findOneAndUpdate({ _id: 'a', n: 6 }, update, { upsert: true })).rejects.toBeInstanceOf(
          ConflictError,
        )
        await expect(notes.findOneAndUpdate({ n: 6 }, update, { upsert: true })).rejects.toThrow(/_id/)
      })

      it('findOneAndUpdate counts without gaps or repeats under 50 callers, from nothing', async () => {
        const values = await Promise.all(
          Array.from({ length: 50 }, () =>
            notes.findOneAndUpdate({ _id: 'counter' }, { $inc: { rank: 1 } }, { upsert: true }),
          ),
        )
        expect(values.map((doc) => doc!.rank!).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 50 }, (_, i) => i + 1),
        )
      })
    })

    describe('scan', () => {
      it('gives all matches in _id order, in batches', async () => {
        await notes.insert(
          Array.from({ length: 95 }, (_, i) => ({ _id: i + 1, owner: i % 2 === 0 ? 'a' : 'b', n: i % 3 })),
        )
        for (const filter of [{}, { owner: 'a' }, { n: 1 }, { owner: 'b', n: 2 }]) {
          const ids: unknown[] = []
          for await (const batch of notes.scan(filter, 10)) {
            expect(batch.length).toBeGreaterThan(0)
            expect(batch.length).toBeLessThanOrEqual(10)
            ids.push(...batch.map((doc) => doc._id))
          }
          expect(ids).toEqual(await idsOf(filter))
        }
      })

      it('sees every document that stays, once, while others are changed, made and deleted', async () => {
        await notes.insert(Array.from({ length: 60 }, (_, i) => ({ _id: i + 1, owner: 'a', rank: i })))
        const seen: unknown[] = []
        for await (const batch of notes.scan({ owner: 'a' }, 10)) {
          seen.push(...batch.map((doc) => doc._id))
          await notes.updateMany({ _id: { $in: batch.map((doc) => doc._id) } }, { $set: { owner: 'done' } })
          await notes.insert([{ _id: 1000 + seen.length, owner: 'other' }])
          await notes.delete({ _id: 60 })
        }
        expect(seen).toEqual(Array.from({ length: 59 }, (_, i) => i + 1))
        expect(await notes.count({ owner: 'done' })).toBe(59)
      })
    })

    describe('large calls', () => {
      it('handle thousands of documents', async () => {
        const docs: Note[] = Array.from({ length: 2_500 }, (_, i) => ({
          _id: i + 1,
          owner: `o${i % 7}`,
          rank: i,
          tags: [i % 5],
        }))
        expect(await notes.insert([...docs, docs[7]!])).toEqual({ refused: [8] })
        expect(await notes.find({})).toEqual(docs)
        expect((await notes.find({}, { sort: { rank: -1 } })).map((d) => d._id)).toEqual(
          docs.map((d) => d._id).reverse(),
        )
        expect((await notes.find({ tags: 3 })).length).toBe(500)
        expect((await notes.getMany(docs.map((d) => d._id))).length).toBe(2_500)
        await notes.updateEach(docs.map((d) => ({ id: d._id, update: { $inc: { rank: 1 } } })))
        expect(await notes.count({ rank: { $gte: 1, $lte: 2_500 } })).toBe(2_500)
        expect(await notes.updateMany({ rank: { $gt: 500 } }, { $set: { open: true } })).toBe(2_000)
        await notes.put(docs)
        expect(await notes.count({ open: true })).toBe(0)
        expect(await notes.delete({ rank: { $gte: 100 } })).toBe(2_400)
      })
    })

    describe('the store', () => {
      it('answers, and gives the same object for the same definition', async () => {
        await store.ping()
        expect(await store.collection(NOTES)).toBe(notes)
        await expect(store.collection({ ...NOTES, version: 2, migrations: { 1: (d) => d } })).rejects.toBeInstanceOf(
          ConfigError,
        )
        await expect(store.collection({ ...NOTES, name: 'Bad Name' })).rejects.toThrow(/Bad Name/)
      })

      it('keeps documents over close and open, and closes twice', async () => {
        await notes.insert([{ _id: 'a', at: DAY(1) }])
        await store.close()
        await store.close()
        store = await open(key)
        notes = await store.collection(NOTES)
        expect(await notes.find({ at: DAY(1) })).toEqual([{ _id: 'a', at: DAY(1) }])
      })

      it('drops everything of its own and nothing else', async () => {
        const other = await open(`${key}other`)
        const others = await other.collection(NOTES)
        await others.put([{ _id: 'kept' }])
        await notes.insert([{ _id: 'a' }])
        await store.drop()
        notes = await store.collection(NOTES)
        expect(await notes.count({})).toBe(0)
        expect(
          await notes.insert([
            { _id: 'a', code: 'x' },
            { _id: 'b', code: 'x' },
          ]),
        ).toEqual({ refused: ['b'] })
        expect(await others.count({})).toBe(1)
        await other.drop()
        await other.close()
      })

      it('adds and removes indexes of documents that are there', async () => {
        await notes.insert(SAMPLE)
        await store.close()
        store = await open(key)
        notes = await store.collection({
          ...NOTES,
          indexes: [{ fields: ['rank'] }, { fields: ['place.city'] }],
        })
        expect(await idsOf({ rank: { $gte: 3 } })).toEqual(['a', 'f'])
        expect(await idsOf({ owner: 'li', 'place.city': '上海' })).toEqual(['a'])
        await notes.insert([
          { _id: 'x', code: 'same' },
          { _id: 'y', code: 'same' },
        ])
        await store.close()
        store = await open(key)
        await expect(store.collection(NOTES)).rejects.toBeInstanceOf(ConfigError)
      })

      it('migrates stored documents step by step', async () => {
        await notes.insert(Array.from({ length: 1_200 }, (_, i) => ({ _id: i + 1, text: `t${i}`, at: DAY(1) })))
        await store.close()
        store = await open(key)
        const third: CollectionDefinition<Doc & { title: string; at?: Date | undefined }> = {
          name: 'notes',
          version: 3,
          schema: z.object({ _id: z.number(), title: z.string(), at: z.date().optional() }),
          indexes: [{ fields: ['title'] }],
          migrations: {
            1: ({ text, ...doc }) => ({ ...doc, body: text }),
            2: ({ body, ...doc }) => ({ ...doc, title: `${String(body)}!`, _id: 'ignored' }),
          },
        }
        const renamed = await store.collection(third)
        expect(await renamed.find({ title: 't7!' })).toEqual([{ _id: 8, title: 't7!', at: DAY(1) }])
        expect(await renamed.count({ title: { $exists: true } })).toBe(1_200)
        await renamed.insert([{ _id: 5_000, title: 'new' }])
        await store.close()
        store = await open(key)
        const again = await store.collection(third)
        expect(await again.get(5_000)).toEqual({ _id: 5_000, title: 'new' })
        expect(await again.get(1)).toEqual({ _id: 1, title: 't0!', at: DAY(1) })
      })

      it('gives copies of documents as they are stored, and takes them back, older ones by the migrations', async () => {
        const odd = {
          _id: 7,
          n: { $date: 1, date: [DAY(3), null, 0.1, -1, 2 ** 53 - 1, '中\ud83d\ude00'], $$date: '' },
        }
        await notes.insert([...SAMPLE, odd, { _id: 'unfit', rank: 'high' as never }])
        const snapshot = await store.snapshot()
        if (snapshot.isStill) await notes.insert([{ _id: 'later' }])
        const lines: string[] = []
        for await (const some of snapshot.scan('notes')) lines.push(...some)
        await snapshot.close()
        await snapshot.close()
        expect(lines.map((line) => (JSON.parse(line) as Doc)._id)).toEqual([7, 'a', 'b', 'c', 'd', 'e', 'f', 'unfit'])
        await store.drop()
        for (let time = 1; time <= 2; time++) await store.load(NOTES, lines, 1)
        notes = await store.collection(NOTES)
        expect(await notes.getMany([...SAMPLE.map((note) => note._id), 7])).toEqual([odd, ...SAMPLE])
        await expect(notes.get('unfit')).rejects.toThrow(UnfitDocumentError)
        await store.drop()
        const next = {
          ...NOTES,
          version: 2,
          migrations: { 1: (doc: Record<string, unknown>) => ({ ...doc, text: 'new' }) },
        }
        await store.load(next, lines, 1)
        expect(await (await store.collection(next)).get('a')).toEqual({ ...SAMPLE[0], text: 'new' })
        await expect(store.load(next, lines, 3)).rejects.toThrow(/written by a newer program/)
      })

      it('refuses what a newer program wrote, and a version without its migration', async () => {
        await store.close()
        store = await open(key)
        await expect(store.collection({ ...NOTES, version: 2 })).rejects.toThrow(/no migration from 1 to 2/)
        await store.collection({ ...NOTES, version: 2, migrations: { 1: (doc) => doc } })
        await store.close()
        store = await open(key)
        const refusal = await store.collection(NOTES).catch((err: unknown) => err)
        expect(refusal).toBeInstanceOf(ConfigError)
        expect((refusal as Error).message).toMatch(/"notes" was written by a newer program.*version is 2/)
      })
    })
  })
}
