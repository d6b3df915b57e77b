/**
 * Stands in for a part that is not there: whatever of it is called, however deep, throws `missing`. What would have been a
 * promise or a sequence is one call too, so that nothing is begun. It can be handed on and looked into.
 */
export function refusing<T extends object>(missing: Error): T {
  const refuse = () => {
    throw missing
  }
  return new Proxy(refuse, {
    // Not to be taken for a promise, or for a sequence.
    get: (_target, key) => (key === 'then' || typeof key === 'symbol' ? undefined : refusing<object>(missing)),
  }) as unknown as T // a function that has every property
}
