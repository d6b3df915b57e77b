import type { z } from 'zod'
import { type Problem, UnfitDocumentError } from '../../errors.js'
import type { Collection, CollectionDefinition, Doc } from '../../ports/document-store.js'
import { hashKey } from '../../random.js'
import { valueAt } from './language.js'

type Checked = Pick<CollectionDefinition<Doc>, 'name' | 'isIdPrivate'> & { schema: z.ZodType }

/** So many are remembered and told: whoever puts these right sees the next. */
const REMEMBERED_MAX = 100

/** The documents of a store that were read and do not fit. */
export class UnfitDocuments {
  private readonly met = new Map<string, () => Promise<UnfitDocumentError | undefined>>()

  /** @param onMet - told once of each */
  constructor(private readonly onMet: (err: UnfitDocumentError) => void = () => undefined) {}

  /** @param lookAgain - resolves to `undefined` once it fits, or is gone */
  add(err: UnfitDocumentError, lookAgain: () => Promise<UnfitDocumentError | undefined>): void {
    const key = `${err.collection}/${err.id}`
    if (this.met.has(key) || this.met.size >= REMEMBERED_MAX) return
    this.met.set(key, lookAgain)
    this.onMet(err)
  }

  async list(): Promise<UnfitDocumentError[]> {
    const unfit: UnfitDocumentError[] = []
    for (const [key, lookAgain] of this.met) {
      const err = await lookAgain()
      if (err === undefined) this.met.delete(key)
      else unfit.push(err)
    }
    return unfit
  }

  clear(): void {
    this.met.clear()
  }
}

/**
 * The collection, with every document that is read from it checked against its schema. What is handed on is the document
 * itself and not what the schema makes of it: fields that this version does not know stay, and are written back with it.
 */
export function checkReads<T extends Doc>(
  inner: Collection<T>,
  definition: Checked,
  unfit: UnfitDocuments,
): Collection<T> {
  const whyUnfit = (doc: T): UnfitDocumentError | undefined => {
    const { error } = definition.schema.safeParse(doc)
    return error === undefined ? undefined : toUnfit(definition, doc, error)
  }
  /** The same, and remembered. */
  const misfitOf = (doc: T): UnfitDocumentError | undefined => {
    const err = whyUnfit(doc)
    if (err === undefined) return undefined
    unfit.add(err, async () => {
      const now = await inner.get(doc._id)
      return now === undefined ? undefined : whyUnfit(now)
    })
    return err
  }
  const fits = (doc: T) => misfitOf(doc) === undefined
  const check = <D extends T | undefined>(doc: D): D => {
    const err = doc === undefined ? undefined : misfitOf(doc)
    if (err !== undefined) throw err
    return doc
  }
  const checkAll = (docs: T[]): T[] => {
    for (const doc of docs) check(doc)
    return docs
  }
  const findFitting: Collection<T>['find'] = async (filter, { limit, skip = 0, ...options } = {}) => {
    const found: T[] = []
    for (let from = skip; ;) {
      const wanted = limit === undefined ? undefined : limit - found.length
      const docs = await inner.find(filter, {
        ...options,
        skip: from,
        ...(wanted !== undefined && { limit: wanted }),
      })
      found.push(...docs.filter(fits))
      from += docs.length
      if (wanted === undefined || docs.length < wanted || found.length === limit) return found
    }
  }
  return {
    ...inner,
    get: async (id) => check(await inner.get(id)),
    getMany: async (ids) => checkAll(await inner.getMany(ids)),
    find: async (filter, { skipUnfit = false, ...options } = {}) =>
      skipUnfit ? findFitting(filter, options) : checkAll(await inner.find(filter, options)),
    findOne: async (filter, { skipUnfit = false, ...options } = {}) =>
      skipUnfit
        ? (await findFitting(filter, { ...options, limit: 1 }))[0]
        : check(await inner.findOne(filter, options)),
    async *scan(filter, batchSize, { skipUnfit = false } = {}) {
      for await (const docs of inner.scan(filter, batchSize)) yield skipUnfit ? docs.filter(fits) : checkAll(docs)
    },
    findOneAndUpdate: async (filter, update, options) => check(await inner.findOneAndUpdate(filter, update, options)),
  }
}

function toUnfit({ name, isIdPrivate }: Checked, doc: Doc, error: z.ZodError): UnfitDocumentError {
  const id = isIdPrivate === true ? `sha256:${hashKey(12, doc._id)}` : String(doc._id)
  return new UnfitDocumentError(
    name,
    id,
    error.issues.map((issue) => toProblem(issue, doc)),
  )
}

/** Values are not told: they may be a customer's. */
function toProblem(issue: z.core.$ZodIssue, doc: Doc): Problem {
  const keys = issue.path.map(String)
  const found = `found ${kindOf(valueAt(doc, keys))}`
  switch (issue.code) {
    case 'invalid_type':
      return { path: keys.join('.'), message: `${found}, expected ${issue.expected}` }
    case 'invalid_value':
      return { path: keys.join('.'), message: `${found}, expected ${issue.values.map(String).join(', ')}` }
    default:
      return { path: keys.join('.'), message: `${found}, which does not fit` }
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
