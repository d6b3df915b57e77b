import { clipText } from '../content/clip.js'

/** What a guide's task card shows, and the answers she can press. */
export type CardWords = {
  title: string
  rows: { name: string; value: string }[]
  buttons: { key: string; text: string }[]
}

/** One reason why a customer is to be spoken with. */
export type CardReason = {
  title: string
  /** Why: what the journey is called. */
  why: string
  couponCode?: string | undefined
}

/** Characters of a title: the smaller, older number, which every client shows in full. */
const TITLE_MAX = 26
const VALUE_MAX = 30
/** A card has six rows, and two of them say who and why. */
export const CODES_MAX = 4

/** The card of a task about one customer. @param reasons - at least one, at most `CODES_MAX` of them with a code */
export function cardOf(customer: string, reasons: readonly CardReason[]): CardWords {
  return {
    title: clipText(unique(reasons.map((r) => r.title)).join('；'), TITLE_MAX),
    rows: [
      { name: '客户', value: clipText(customer, VALUE_MAX) },
      ...reasons.flatMap(({ couponCode: value }) => (value === undefined ? [] : [{ name: '券码', value }])),
      { name: '原因', value: clipText(unique(reasons.map((r) => r.why)).join('、'), VALUE_MAX) },
    ],
    buttons: [
      { key: 'done', text: '已联系' },
      { key: 'interested', text: '有意向' },
      { key: 'stop', text: '不再打扰' },
    ],
  }
}

/** The title of a reason that has none of its own. */
export function firstWords(script: string): string {
  return clipText(script.replaceAll(/\s+/g, ' ').trim(), TITLE_MAX)
}

/** The button of a card that says that the customer wants no more messages. */
export const STOP_BUTTON = 'stop'

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}
