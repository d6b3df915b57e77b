import { z } from 'zod'
import { checkUrl, OptionalText, read, Refusal } from '../core/endpoint.js'

/**
 * Template cards (page 90236, 模板卡片消息, 2025-09-24). The platform checks field by field and each field has a code of
 * its own; so the schema is loose about lists and texts, and the rules below say what is missing.
 */
const Jump = z
  .object({
    type: z.int().default(0),
    title: OptionalText,
    url: OptionalText,
    appid: OptionalText,
    pagepath: OptionalText,
  })
  .loose()
const Option = z.object({ id: OptionalText, text: OptionalText }).loose()
const Question = { question_key: OptionalText, title: OptionalText, option_list: z.array(Option).default([]) }
const Card = z
  .object({
    card_type: z.string().default(''),
    task_id: OptionalText,
    source: z.object({ desc: OptionalText, desc_color: z.int().min(0).max(3).optional() }).loose().nullish(),
    main_title: z.object({ title: OptionalText, desc: OptionalText }).nullish(),
    sub_title_text: OptionalText,
    quote_area: Jump.nullish(),
    emphasis_content: z.object({ title: OptionalText, desc: OptionalText }).nullish(),
    action_menu: z
      .object({ action_list: z.array(z.object({ text: z.string().min(1), key: z.string().min(1) })).min(1).max(3) })
      .nullish(),
    horizontal_content_list: z
      .array(Jump.extend({ keyname: OptionalText, value: OptionalText, media_id: OptionalText, userid: OptionalText }))
      .nullish(),
    vertical_content_list: z.array(z.object({ title: OptionalText, desc: OptionalText }).loose()).nullish(),
    jump_list: z.array(Jump).nullish(),
    card_action: Jump.nullish(),
    card_image: z.object({ url: OptionalText, aspect_ratio: z.number().min(1.3).max(2.25).optional() }).nullish(),
    image_text_area: Jump.extend({ desc: OptionalText, image_url: OptionalText }).nullish(),
    button_list: z
      .array(z.object({ type: z.int().min(0).max(1).default(0), text: OptionalText, key: OptionalText, url: OptionalText }).loose())
      .nullish(),
    button_selection: z.object({ ...Question, selected_id: OptionalText }).loose().nullish(),
    checkbox: z.object({ ...Question, mode: z.int().min(0).max(1).default(0) }).loose().nullish(),
    select_list: z.array(z.object({ ...Question, selected_id: OptionalText }).loose()).nullish(),
    submit_button: z.object({ text: OptionalText, key: OptionalText }).nullish(),
  })
  .loose() // prettier-ignore
export type Card = z.infer<typeof Card>

const NOTICES = ['text_notice', 'news_notice']
const CARD_TYPES = [...NOTICES, 'button_interaction', 'vote_interaction', 'multiple_interaction']
const MAX_KEY_BYTES = 1_024

export type CardRules = {
  /** A webhook's cards: notices only, without task_id and action_menu (page 99110). */
  isWebhook?: boolean
  /** Refuse texts longer than the documented advice; whether the platform does is not known. */
  refuseLongTexts?: boolean
}

/** @throws {Refusal} 42014, 42027 to 42051, 41016, 40058, 45034 */
export function checkCard(body: Record<string, unknown>, { isWebhook, refuseLongTexts }: CardRules = {}): Card {
  const card = read(Card, body)
  const type = card.card_type
  if (!(isWebhook === true ? NOTICES : CARD_TYPES).includes(type)) throw refuse(42031, 'card_type')
  const isNotice = NOTICES.includes(type)
  if (isWebhook !== true) checkTaskId(card, !isNotice)
  const hasTitle = card.main_title?.title !== undefined
  if (!hasTitle && (type !== 'text_notice' || card.sub_title_text === undefined))
    throw new Refusal(41016, 'missing template_card main_title.title')
  checkLists(card)
  if (card.quote_area) checkJump(card.quote_area)
  if (card.image_text_area) checkJump(card.image_text_area)
  if (isNotice && (!card.card_action || card.card_action.type < 1)) throw refuse(42045, 'card_action')
  if (card.card_action) {
    if (card.card_action.type > 2) throw refuse(42045, 'card_action')
    checkJump(card.card_action)
  }
  if (type === 'news_notice' && card.card_image?.url === undefined && card.image_text_area?.image_url === undefined)
    throw refuse(42044, 'card_image')
  if (type === 'button_interaction') checkButtons(card)
  if (type === 'vote_interaction') checkQuestion(card.checkbox, 20)
  if (type === 'multiple_interaction') {
    const questions = card.select_list ?? []
    if (questions.length < 1 || questions.length > 3) throw refuse(42047, 'select_list')
    for (const question of questions) checkQuestion(question, 10)
  }
  if (type === 'vote_interaction' || type === 'multiple_interaction') {
    if (!fits(card.submit_button?.text, 10)) throw refuse(42049, 'submit_button text')
    if (!isKey(card.submit_button?.key)) throw refuse(42046, 'submit_button key')
  }
  if (refuseLongTexts === true) checkAdvice(card)
  return card
}

function checkTaskId(card: Card, isRequired: boolean): void {
  const menu = card.action_menu?.action_list ?? []
  if ((isRequired || menu.length > 0) && card.task_id === undefined) throw refuse(42014, 'task_id')
  if (card.task_id !== undefined && !/^[0-9A-Za-z_\-@]{1,128}$/.test(card.task_id)) throw refuse(42014, 'task_id')
  const keys = menu.map((item) => item.key)
  if (keys.some((key) => !isKey(key))) throw refuse(42039, 'action_menu key')
  if (new Set(keys).size < keys.length) throw refuse(42051, 'action_menu key not unique')
}

function checkLists({ horizontal_content_list, vertical_content_list, jump_list }: Card): void {
  if ((horizontal_content_list ?? []).length > 6) throw refuse(42035, 'horizontal_content_list out of limit')
  if ((vertical_content_list ?? []).length > 4) throw refuse(42036, 'vertical_content_list out of limit')
  if ((jump_list ?? []).length > 3) throw refuse(42042, 'jump_list out of limit')
  for (const row of horizontal_content_list ?? []) {
    if (!fits(row.keyname, 5)) throw refuse(42027, 'horizontal_content_list keyname')
    if (row.type === 1) checkJump(row)
    if (row.type === 2 && row.media_id === undefined) throw refuse(42029, 'horizontal_content_list media_id')
    if (row.type === 3 && row.userid === undefined) throw refuse(42050, 'horizontal_content_list userid')
  }
  for (const row of vertical_content_list ?? []) {
    if (row.title === undefined) throw refuse(42033, 'vertical_content_list title')
  }
  for (const jump of jump_list ?? []) {
    if (jump.title === undefined) throw refuse(42033, 'jump_list title')
    checkJump(jump)
  }
}

/** 1 opens an address, 2 a mini program. */
function checkJump({ type, url, appid }: { type: number; url?: string | undefined; appid?: string | undefined }): void {
  if (type === 1 && url === undefined) throw refuse(42028, 'url')
  if (type === 1) checkUrl('template_card.url', url!)
  if (type === 2 && appid === undefined) throw refuse(42030, 'appid')
}

function checkButtons({ button_list, button_selection }: Card): void {
  const buttons = button_list ?? []
  if (buttons.length < 1 || buttons.length > 6)
    throw new Refusal(40058, 'template_card.button_list invalid size. invalid Request Parameter')
  for (const { type, text, key, url } of buttons) {
    if (!fits(text, 10)) throw refuse(42038, 'button_list text')
    if (type === 0 && !isKey(key)) throw refuse(42039, 'button_list key')
    if (type === 1) checkUrl('template_card.button_list.url', url ?? '')
  }
  if (button_selection) checkQuestion(button_selection, 10)
}

function checkQuestion(
  question: { question_key?: string | undefined; option_list: readonly z.infer<typeof Option>[] } | null | undefined,
  maxOptions: number,
): void {
  if (question?.question_key === undefined) throw refuse(42043, 'question_key')
  const options = question.option_list
  if (options.length < 1 || options.length > maxOptions) throw refuse(42037, 'option_list')
  for (const { id, text } of options) {
    if (id === undefined || Buffer.byteLength(id) > 128) throw refuse(42040, 'option_list id')
    if (text === undefined) throw refuse(42041, 'option_list text')
  }
}

/** "Suggested not to exceed", in characters; the figures of 2025-09. */
function checkAdvice(card: Card): void {
  const advice: [number, string, string | undefined, number][] = [
    [40058, 'source.desc', card.source?.desc, 20],
    [40058, 'main_title.title', card.main_title?.title, 36],
    [40058, 'main_title.desc', card.main_title?.desc, 44],
    [40058, 'sub_title_text', card.sub_title_text, 160],
    [40058, 'emphasis_content.title', card.emphasis_content?.title, 14],
    [40058, 'emphasis_content.desc', card.emphasis_content?.desc, 22],
  ]
  for (const row of card.horizontal_content_list ?? [])
    advice.push([42027, 'horizontal_content_list value', row.value, 30])
  for (const row of card.vertical_content_list ?? []) {
    advice.push([42033, 'vertical_content_list title', row.title, 38])
    advice.push([42033, 'vertical_content_list desc', row.desc, 160])
  }
  for (const row of card.jump_list ?? []) advice.push([42033, 'jump_list title', row.title, 18])
  const questions = [...(card.checkbox ? [card.checkbox] : []), ...(card.select_list ?? [])]
  for (const option of questions.flatMap((q) => q.option_list))
    advice.push([42041, 'option_list text', option.text, 17])
  for (const [code, what, text, most] of advice) {
    if (text !== undefined && !fits(text, most)) throw refuse(code, `${what} exceed max length ${most}`)
  }
}

/** 1 to `most` characters. */
function fits(text: string | undefined, most: number): boolean {
  return text !== undefined && [...text].length <= most
}

function isKey(key: string | undefined): boolean {
  return key !== undefined && Buffer.byteLength(key) <= MAX_KEY_BYTES
}

function refuse(code: number, what: string): Refusal {
  return new Refusal(code, `invalid template_card ${what}`)
}
