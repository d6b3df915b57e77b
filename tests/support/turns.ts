import { setImmediate } from 'node:timers/promises'
import type { Dice } from './random-rules.js'

/** What a process that dies leaves its promises with. */
export class Death extends Error {}

type Waiting = { actor: string; what: string; go: () => void; die: (err: Death) => void }

export type Actors = Readonly<Record<string, () => Promise<void>>>

/**
 * Several actors whose writes wait for their turn, one at a time, in an order that is drawn. Between two turns everything
 * that was begun comes to rest, so the same draws give the same order.
 */
export class Turns {
  /** Turns given. */
  taken = 0
  private waiting: Waiting[] = []
  private underWay = 0
  private readonly dead = new Set<string>()

  constructor(private readonly dice: Dice) {}

  /** The same object for one actor: `writes` wait for a turn, everything else is waited for. `seen` is told of each write. */
  guard<T extends object>(
    actor: string,
    name: string,
    target: T,
    writes: readonly string[],
    seen: (method: string, args: readonly unknown[]) => void,
  ): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key)
        if (typeof value !== 'function') return value
        const bound = value.bind(object) as (...args: unknown[]) => unknown
        const method = String(key)
        if (method === 'scan' || method === 'unread') return bound
        return async (...args: unknown[]) => {
          if (writes.includes(method)) await this.turn(actor, `${name}.${method}`)
          this.underWay++
          try {
            if (writes.includes(method)) seen(method, args)
            return await bound(...args)
          } finally {
            this.underWay--
          }
        }
      },
    })
  }

  turn(actor: string, what: string): Promise<void> {
    if (this.dead.has(actor)) return Promise.reject(new Death(what))
    return new Promise((go, die) => void this.waiting.push({ actor, what, go, die }))
  }

  /**
   * Lets the actors work until all are done. One that dies begins again once it has come to rest.
   *
   * @param before - called before each turn
   * @param deaths - at which turn who dies instead: the one whose turn it is, or all
   */
  async play(actors: Actors, before: () => void, deaths: ReadonlyMap<number, 'one' | 'all'>): Promise<void> {
    const working = new Map<string, Promise<void>>()
    const failures: unknown[] = []
    const start = (actor: string) => {
      const done = actors[actor]!()
        .then(() => void working.delete(actor))
        .catch((err: unknown) => {
          if (!(err instanceof Death)) failures.push(err)
          working.delete(actor)
          if (err instanceof Death) restarts.push(actor)
        })
      working.set(actor, done)
    }
    const restarts: string[] = []
    for (const actor of Object.keys(actors)) start(actor)
    for (;;) {
      await this.rest()
      if (failures.length > 0) throw failures[0]
      for (const actor of restarts.splice(0).sort()) {
        this.dead.delete(actor)
        start(actor)
        await this.rest()
      }
      if (working.size === 0 && restarts.length === 0) return
      if (this.waiting.length === 0) continue
      before()
      const next = this.waiting.splice(this.dice.below(this.waiting.length), 1)[0]!
      const death = deaths.get(++this.taken)
      if (death === undefined) {
        next.go()
        continue
      }
      const dying = this.waiting.filter((w) => death === 'all' || w.actor === next.actor)
      this.waiting = this.waiting.filter((w) => !dying.includes(w))
      for (const actor of death === 'all' ? working.keys() : [next.actor]) this.dead.add(actor)
      for (const { what, die } of [next, ...dying]) die(new Death(what))
    }
  }

  /** Resolves when nothing moves but what waits for a turn. */
  private async rest(): Promise<void> {
    for (let still = 0; still < 3;) {
      await setImmediate()
      still = this.underWay === 0 ? still + 1 : 0
    }
  }
}
