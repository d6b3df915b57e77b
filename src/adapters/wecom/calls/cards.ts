import { z } from 'zod'
import { Bytes, Characters, Url } from './content.js'

/**
 * Template cards (模板卡片, page 90236, 2025-09-24). Display lengths that the page only advises are taken at their older,
 * smaller figures where they grew: clients of guides may be old.
 */

/** 0 nothing happens, 1 opens an address, 2 opens a mini program. */
const Nowhere = z.object({ type: z.literal(0).optional() })
const ToUrl = z.object({ type: z.literal(1), url: Url })
const ToMiniProgram = z.object({ type: z.literal(2), appid: z.string().min(1), pagepath: z.string().optional() })
const Action = z.discriminatedUnion('type', [ToUrl, ToMiniProgram])

const Key = Bytes(1_024)
/** Unique within the app; comes back with every event of the card. */
const TaskId = z.string().regex(/^[0-9A-Za-z_\-@]{1,128}$/, '1–128 of 0–9 A–Z a–z _ - @')
const MainTitle = z.object({ title: Characters(26), desc: Characters(30).optional() })
const Source = z.object({
  icon_url: Url.optional(),
  desc: Characters(13).optional(),
  /** 0 grey, 1 black, 2 red, 3 green. */
  desc_color: z.int().min(0).max(3).optional(),
})
const MenuItem = z.object({ text: z.string().min(1), key: Key })
const ActionMenu = z.object({
  desc: z.string().optional(),
  action_list: z
    .array(MenuItem)
    .min(1)
    .max(3)
    .refine((items) => new Set(items.map((item) => item.key)).size === items.length, 'keys must differ'),
})
const quote = { title: z.string().optional(), quote_text: z.string().optional() }
const QuoteArea = z.union([Nowhere.extend(quote), ToUrl.extend(quote), ToMiniProgram.extend(quote)])
const row = { keyname: Characters(5), value: Characters(30).or(z.literal('')).optional() }
const HorizontalRow = z.union([
  z.object({ type: z.literal(0).optional(), ...row }),
  z.object({ type: z.literal(1), ...row, url: Url }),
  z.object({ type: z.literal(2), ...row, media_id: z.string().min(1) }),
  z.object({ type: z.literal(3), ...row, userid: z.string().min(1) }),
])
const VerticalRow = z.object({ title: Characters(26), desc: Characters(112).optional() })
const jump = { title: Characters(13) }
const Jump = z.union([Nowhere.extend(jump), ToUrl.extend(jump), ToMiniProgram.extend(jump)])

const Horizontal = z.array(HorizontalRow).max(6).optional()
const Jumps = z.array(Jump).max(3).optional()
const OptionText = Characters(11)
const Option = z.object({ id: Bytes(128), text: OptionText })
const Selection = z.object({
  question_key: Key,
  title: z.string().optional(),
  option_list: z.array(Option).min(1).max(10),
  selected_id: z.string().optional(),
  /** In an update: can no more be changed. */
  disable: z.boolean().optional(),
})
const SubmitButton = z.object({ text: Characters(10), key: Key })
/** In an update: what the button says once it is locked. */
const ReplaceText = z.string().min(1).optional()

export const TextNotice = z
  .object({
    card_type: z.literal('text_notice'),
    source: Source.optional(),
    action_menu: ActionMenu.optional(),
    task_id: TaskId.optional(),
    main_title: MainTitle.partial().optional(),
    quote_area: QuoteArea.optional(),
    emphasis_content: z.object({ title: Characters(10).optional(), desc: Characters(15).optional() }).optional(),
    sub_title_text: Characters(112).optional(),
    horizontal_content_list: Horizontal,
    jump_list: Jumps,
    card_action: Action,
  })
  .refine((card) => card.main_title?.title ?? card.sub_title_text, 'needs main_title.title or sub_title_text')
  .refine((card) => card.action_menu === undefined || card.task_id !== undefined, 'an action_menu needs a task_id')

export const NewsNotice = z
  .object({
    card_type: z.literal('news_notice'),
    source: Source.optional(),
    action_menu: ActionMenu.optional(),
    task_id: TaskId.optional(),
    main_title: MainTitle,
    quote_area: QuoteArea.optional(),
    image_text_area: z
      .object({
        type: z.int().min(0).max(2).optional(),
        url: Url.optional(),
        appid: z.string().optional(),
        pagepath: z.string().optional(),
        title: z.string().optional(),
        desc: z.string().optional(),
        image_url: Url,
      })
      .optional(),
    card_image: z.object({ url: Url, aspect_ratio: z.number().min(1.3).max(2.25).optional() }).optional(),
    vertical_content_list: z.array(VerticalRow).max(4).optional(),
    horizontal_content_list: Horizontal,
    jump_list: Jumps,
    card_action: Action,
  })
  .refine((card) => card.card_image ?? card.image_text_area, 'needs card_image or image_text_area')
  .refine((card) => card.action_menu === undefined || card.task_id !== undefined, 'an action_menu needs a task_id')

const button = {
  text: Characters(10),
  /** 1 blue on white, 2 white on blue, 3 red, 4 grey. */
  style: z.int().min(1).max(4).optional(),
}
export const ButtonInteraction = z.object({
  card_type: z.literal('button_interaction'),
  source: Source.optional(),
  action_menu: ActionMenu.optional(),
  main_title: MainTitle,
  quote_area: QuoteArea.optional(),
  sub_title_text: Characters(112).optional(),
  horizontal_content_list: Horizontal,
  card_action: z.union([Nowhere, Action]).optional(),
  task_id: TaskId,
  button_selection: Selection.optional(),
  button_list: z
    .array(
      z.union([
        z.object({ type: z.literal(0).optional(), ...button, key: Key }),
        z.object({ type: z.literal(1), ...button, url: Url }),
      ]),
    )
    .min(1)
    .max(6),
  replace_text: ReplaceText,
})

export const VoteInteraction = z.object({
  card_type: z.literal('vote_interaction'),
  source: Source.optional(),
  main_title: MainTitle,
  task_id: TaskId,
  checkbox: z.object({
    question_key: Key,
    /** 0 one answer, 1 any number. */
    mode: z.int().min(0).max(1).optional(),
    option_list: z
      .array(Option.extend({ is_checked: z.boolean().optional() }))
      .min(1)
      .max(20),
    disable: z.boolean().optional(),
  }),
  submit_button: SubmitButton,
  replace_text: ReplaceText,
})

export const MultipleInteraction = z.object({
  card_type: z.literal('multiple_interaction'),
  source: Source.optional(),
  main_title: MainTitle,
  task_id: TaskId,
  select_list: z.array(Selection).min(1).max(3),
  submit_button: SubmitButton,
  replace_text: ReplaceText,
})

export const TemplateCard = z.discriminatedUnion('card_type', [
  TextNotice,
  NewsNotice,
  ButtonInteraction,
  VoteInteraction,
  MultipleInteraction,
])
export type TemplateCard = z.input<typeof TemplateCard>
