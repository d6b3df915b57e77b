/** Every type of field with what fits it (subscribe message rules; phone and car numbers by length only). */
const FITS: Readonly<Record<string, (value: string) => boolean>> = {
  thing: (v) => [...v].length <= 20,
  number: (v) => /^\d+(\.\d+)?$/.test(v) && v.length <= 32,
  letter: (v) => /^[A-Za-z]{1,32}$/.test(v),
  symbol: (v) => /^[^\p{L}\p{N}]{1,5}$/u.test(v),
  character_string: (v) => /^[\x20-\x7e]{1,32}$/.test(v),
  time: (v) => /\d{1,2}:\d{2}|\d{4}年|\d{4}-\d{1,2}-\d{1,2}/.test(v) && v.length <= 64,
  date: (v) => /\d{4}年|\d{4}-\d{1,2}-\d{1,2}/.test(v) && v.length <= 64,
  amount: (v) => /^[¥￥$]?\d{1,10}(\.\d{1,2})?元?$/.test(v),
  phone_number: (v) => /^[\d+\-()]{1,17}$/.test(v),
  car_number: (v) => [...v].length <= 8,
  name: (v) => [...v].length <= (/\p{Script=Han}/u.test(v) ? 10 : 20),
  phrase: (v) => /^\p{Script=Han}{1,5}$/u.test(v),
}

/**
 * The first field that is missing or does not fit its type; `undefined` when all do.
 *
 * @param fields - of the template: a type and a number, e.g. `thing1`
 */
export function wrongField(fields: readonly string[], data: Readonly<Record<string, string>>): string | undefined {
  return fields.find((field) => {
    const value = data[field]
    const fits = FITS[field.replace(/\d+$/, '')] ?? (() => true)
    return value === undefined || value === '' || !fits(value)
  })
}
