import type { Profile } from '../identity/profile.js'

/** What a guide's task card shows, and the answers she can press. */
export type CardWords = {
  title: string
  rows: { name: string; value: string }[]
  buttons: { key: string; text: string }[]
}

/** The card of a task about one customer. @param reason - why she is to be written to: the journey */
export function cardOf(
  title: string,
  { profile, reason, couponCode }: { profile: Profile; reason: string; couponCode?: string | undefined },
): CardWords {
  return {
    title,
    rows: [
      { name: '客户', value: customerName(profile) },
      ...(couponCode === undefined ? [] : [{ name: '券码', value: couponCode }]),
      { name: '原因', value: reason },
    ],
    buttons: [
      { key: 'done', text: '已联系' },
      { key: 'interested', text: '有意向' },
      { key: 'stop', text: '不再打扰' },
    ],
  }
}

function customerName(profile: Profile): string {
  const names = Object.entries(profile.traits['name'] ?? {}).filter(([, { value }]) => value !== null)
  const [first] = names.sort(([a], [b]) => (a < b ? -1 : 1))
  return first === undefined ? `#${profile._id}` : String(first[1].value)
}
