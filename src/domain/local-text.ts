import { z } from 'zod'
import { said } from '../said.js'

/** Words for people: one text for all, or one in each language. */
export const LocalText = z
  .union([z.string().min(1), z.strictObject({ zh: z.string().min(1), en: z.string().min(1) })])
  .describe(said('一段文字，或 { zh, en }', 'one text, or { zh, en }'))
export type LocalText = z.infer<typeof LocalText>

export function textOf(text: LocalText, locale: 'zh' | 'en'): string {
  return typeof text === 'string' ? text : text[locale]
}
