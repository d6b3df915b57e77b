import { createHash, randomBytes } from 'node:crypto'

/**
 * The one home of chance. Splits, holdouts and simulated people never draw from a stream: they hash
 * (seed, purpose, stable identifier), so a retry or another order of work gives the same outcome.
 */

/** Uniform in [0, 1), 53 bits, from SHA-256 of the parts. */
export function unitOf(...parts: readonly (string | number)[]): number {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest()
  return (digest.readUIntBE(0, 6) * 32 + (digest[6]! >> 3)) / 2 ** 53
}

/** Integer uniform in [0, below). */
export function intOf(below: number, ...parts: readonly (string | number)[]): number {
  return Math.floor(unitOf(...parts) * below)
}

/** First `length` hex digits of the SHA-256 of the parts: a stable key. */
export function hashKey(length: number, ...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, length)
}

/** A secret that nobody can guess, as hex. Not for anything that must be repeatable. */
export function secretHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}
