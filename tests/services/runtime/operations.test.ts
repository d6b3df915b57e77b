import { describe, expect, it } from '@jest/globals'
import { operations } from '../../../src/services/runtime/operations.js'

describe('the table of operations', () => {
  it.each(Object.entries(operations))('says of %s who may do it, and records it unless it only reads', (name, op) => {
    expect(op.roles).toContain('admin')
    const reveals = 'reveals' in op && op.reveals === true
    expect(op.audit !== undefined).toBe(op.effect !== 'read' || reveals)
    // What is about one customer, or shows members their customers, is never for everybody.
    // A backup is of everybody, and for whoever is responsible for everybody.
    if (reveals) expect(op.scope).toBe(name === 'backup' ? 'all' : 'departments')
    if (op.roles.some((role) => role === 'guide')) expect(op.scope).toBe('own customers')
  })
})
