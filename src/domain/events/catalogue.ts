import { z } from 'zod'
import { said } from '../../said.js'
import { LocalText } from '../local-text.js'

/** `config/events.yaml`: the events and traits that rules may name, so that a misspelt one is found before it is published. */
export const EventCatalogue = z.strictObject({
  events: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z][a-z0-9_]*$/, said('事件名是小写加下划线', 'an event name is snake_case')),
        label: LocalText,
        description: z.string().optional(),
        properties: z
          .array(z.string().min(1))
          .optional()
          .describe(
            said(
              '事件带的属性（amountMinor 不用写）；列出后，规则里写错的属性会被指出',
              'properties it carries (amountMinor goes without saying); once listed, misspelt ones in rules are found',
            ),
          ),
      }),
    )
    .min(1),
  traits: z
    .array(z.string().min(1))
    .optional()
    .describe(
      said(
        '数据源给的客户特征；列出后，规则里写错的特征会被指出',
        'traits that sources give of a customer; once listed, misspelt ones in rules are found',
      ),
    ),
})
export type EventCatalogue = z.infer<typeof EventCatalogue>

/** Traits that this service writes by itself: from WeCom, and from chats. */
export const SYSTEM_TRAITS: readonly string[] = [
  ...['name', 'gender', 'avatar', 'wecom_owner', 'wecom_followers', 'wecom_tags'],
  ...['chat_last_topic', 'chat_tags'],
]
