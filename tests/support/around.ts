import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import type { Collections } from '../../src/stored/collections.js'

/** The dependencies of one lane, with `act` before each call of a method of one collection; it may throw. */
export function around(
  deps: ServiceDeps,
  name: keyof Collections,
  method: string,
  act: (n: number, args: readonly unknown[]) => Promise<unknown>,
): ServiceDeps {
  let n = 0
  const collection = new Proxy(deps.docs[name], {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key)
      if (key !== method) return value
      return async (...args: unknown[]) => {
        await act(++n, args)
        return (value as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  return { ...deps, docs: { ...deps.docs, [name]: collection } }
}

/** For `around`: before the first call only. */
export function once(act: () => Promise<unknown>): (n: number) => Promise<unknown> {
  return async (n) => (n === 1 ? act() : undefined)
}
