import mongoose from 'mongoose'
import { expect, it } from '@jest/globals'
import { documentBytes } from '../../../src/services/ingest/document-size.js'

it.each([
  ['texts', { a: 'x'.repeat(100), 城市: '上海'.repeat(50), e: '🎁' }],
  ['numbers, which take more than in JSON', { owners: Array.from({ length: 1_000 }, (_, i) => i) }],
  ['instants and flags', { at: new Date(0), on: true, off: null, not: undefined }],
  ['nested', { list: Array.from({ length: 50 }, (_, i) => ({ _id: `e${i}`, a: { b: [{ c: 'd' }, []] } })) }],
])('is not less than what a document takes, and not much more: %s', (_name, value) => {
  const size = mongoose.mongo.BSON.calculateObjectSize(value)
  expect(documentBytes(value)).toBeGreaterThanOrEqual(size)
  expect(documentBytes(value)).toBeLessThan(2 * size + 20)
})
