import { hash, randomBytes } from 'node:crypto'

/**
 * The one home of chance. Splits, holdouts and simulated people never draw from a stream: they hash
 * (seed, purpose, stable identifier), so a retry or another order of work gives the same outcome.
 */

/** Uniform in [0, 1), 53 bits, from SHA-256 of the parts. */
export function unitOf(...parts: readonly (string | number)[]): number {
  const hex = sha256(parts)
  return (Number.parseInt(hex.slice(0, 12), 16) * 32 + (Number.parseInt(hex.slice(12, 14), 16) >> 3)) / 2 ** 53
}

/** Integer uniform in [0, below). */
export function intOf(below: number, ...parts: readonly (string | number)[]): number {
  return Math.floor(unitOf(...parts) * below)
}

/** First `length` hex digits of the SHA-256 of the parts: a stable key. */
export function hashKey(length: number, ...parts: readonly (string | number)[]): string {
  return sha256(parts).slice(0, length)
}

/**
 * Uniform in [0, 1), 32 bits, from a mix of integers: for draws by the million, where SHA-256 would cost seconds.
 * @param purpose - a small number that tells draws about the same thing apart
 * @see MurmurHash3_x86_32, whose mixing steps these are
 */
export function quickUnitOf(seed: number, purpose: number, who: number, what = 0): number {
  let h = mix(mix(mix(mix(seed | 0, Math.floor(seed / 2 ** 32)), purpose), who), what)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

/** A secret that nobody can guess, as hex. Not for anything that must be repeatable. */
export function secretHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}

function sha256(parts: readonly (string | number)[]): string {
  return hash('sha256', JSON.stringify(parts), 'hex')
}

function mix(h: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  h ^= k
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}
