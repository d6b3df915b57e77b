/** `SIYU_LONG=1`: the long forms, by hand. Otherwise the properties take the few minutes that CI has for them. */
const isLong = process.env.SIYU_LONG === '1'

/** How often a property is tried: `usual` times, in the long form `long` times. */
export function sized(usual: number, long: number): number {
  return isLong ? long : usual
}
