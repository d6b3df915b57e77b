const integers = new Intl.NumberFormat('en-US')

export function formatCount(count: number): string {
  return integers.format(count)
}

export function formatRatio(ratio: number | null, digits = 1): string {
  return ratio === null ? '–' : `${(ratio * 100).toFixed(digits)} %`
}

/** Minor units as an amount in the currency, e.g. `GBP 8,187.36`. */
export function formatMinor(amountMinor: number, currency: string): string {
  const format = new Intl.NumberFormat('en-US', { style: 'currency', currency, currencyDisplay: 'code' })
  const amount = amountMinor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2)
  return format.format(amount).replace(/\u00a0/g, ' ')
}
