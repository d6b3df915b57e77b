/** What one event adds: 4 × 32 bits. */
type Words = [number, number, number, number]

const PRIMES: Words = [597399067, 2869860233, 951274213, 2716044179]
const EMPTY: Words = [1779033703, 3144134277, 1013904242, 2773480762]

/**
 * A running hash over everything that happened, so that two runs can be compared without keeping either: lines of
 * (instant, kind, keys), the instants in their order. Within one instant the order does not count, since requests of
 * one instant may arrive in any. 128 bits, against accidents and not against anybody.
 */
export class EventLog {
  /** Told of every event, in the order of happening. */
  onEvent: ((at: Date, kind: string, keys: readonly string[]) => void) | undefined
  private chain: Words = [...EMPTY]
  private sum: Words = [0, 0, 0, 0]
  private atMs = 0
  private n = 0

  /** How many events there were. */
  get events(): number {
    return this.n
  }

  /** 32 hex digits. */
  get hash(): string {
    return hex(fold(this.chain, this.atMs, this.sum))
  }

  add(at: Date, kind: string, keys: readonly string[]): void {
    const atMs = at.getTime()
    if (atMs !== this.atMs) {
      this.chain = fold(this.chain, this.atMs, this.sum)
      this.sum = [0, 0, 0, 0]
      this.atMs = atMs
    }
    let line = kind
    for (const key of keys) line += `\n${key}`
    const words = hashText(line)
    for (let i = 0; i < 4; i++) this.sum[i] = (this.sum[i]! + words[i]!) >>> 0
    this.n++
    this.onEvent?.(at, kind, keys)
  }

  /** The whole state as a short text, to be stored with what happened. */
  toText(): string {
    return JSON.stringify([this.chain, this.sum, this.atMs, this.n])
  }

  /** Goes on, or back, to where `toText` was taken. */
  restore(text: string): void {
    const [chain, sum, atMs, n] = JSON.parse(text) as [Words, Words, number, number]
    Object.assign(this, { chain, sum, atMs, n })
  }
}

function hashText(text: string): Words {
  let [a, b, c, d] = EMPTY
  const [p, q, r, s] = PRIMES
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = b ^ Math.imul(a ^ code, p)
    b = c ^ Math.imul(b ^ code, q)
    c = d ^ Math.imul(c ^ code, r)
    d = a ^ Math.imul(d ^ code, s)
  }
  return scramble([a, b, c, d])
}

function fold(chain: Words, atMs: number, sum: Words): Words {
  const high = Math.floor(atMs / 2 ** 32)
  const mixed = scramble([chain[0] ^ atMs, chain[1] ^ high, chain[2], chain[3]])
  return scramble([mixed[0] ^ sum[0], mixed[1] ^ sum[1], mixed[2] ^ sum[2], mixed[3] ^ sum[3]])
}

/** Every bit of the input reaches every bit of the result, and none is lost. @see MurmurHash3_x86_128, finalization */
function scramble(words: Words): Words {
  const [a, b, c, d] = together(words)
  return together([finish(a), finish(b), finish(c), finish(d)])
}

function together([a, b, c, d]: Words): Words {
  const sum = (a + b + c + d) >>> 0
  return [sum, (b + sum) >>> 0, (c + sum) >>> 0, (d + sum) >>> 0]
}

function finish(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function hex(words: Words): string {
  return words.map((word) => word.toString(16).padStart(8, '0')).join('')
}
