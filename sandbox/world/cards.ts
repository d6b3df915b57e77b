import type { XmlFields } from '../xml.js'
import type { Codes } from './codes.js'
import type { Core } from './core.js'
import { drawButton, drawHandledAt } from './draws.js'

export type CardBody = {
  card_type: string
  action_menu?: { action_list: { key: string }[] } | null | undefined
  submit_button?: { key: string } | null | undefined
  button_list?: { type?: number; key?: string }[]
  button_selection?: CardQuestion
  select_list?: CardQuestion[]
  checkbox?: CardQuestion
}
type CardQuestion = {
  question_key: string
  selected_id?: string
  option_list: { id: string; is_checked?: boolean }[]
}
/** What a guide ticks in a card: option ids by question key. */
export type Selected = Readonly<Record<string, readonly string[]>>

/** Cards with buttons (模板卡片) that an app sends to members, and what they press. */
export class Cards {
  constructor(
    private readonly core: Core,
    private readonly codes: Codes,
  ) {}

  /** A card with buttons has reached a member. */
  schedulePress(msgid: string, userId: string, taskId: string, card: CardBody, at: Date): void {
    const { seed, scenario, staff, agenda } = this.core
    const key = drawButton(seed, scenario, userId, taskId, buttonKeys(card))
    const pressAt = drawHandledAt(seed, staff.known(userId), scenario.timeZone, 'press', taskId, at)
    if (key !== undefined && pressAt !== undefined)
      agenda.schedule(pressAt, 'press', `${taskId}/${userId}`, { msgid, userId, key })
  }

  /**
   * A guide presses a button of a card she was sent; the app is called back.
   * @param selected - option ids by question key; a question left out keeps what the card has selected
   * @returns whether the card was there, offered that key, and its buttons were still alive.
   */
  press(msgid: string, userId: string, key: string, at: Date, selected: Selected = {}): boolean {
    const { state } = this.core
    const row = state.get<{ task_id: string; body: string; recalled: number; agent_id: number }>(
      'SELECT task_id, body, recalled, agent_id FROM app_message WHERE msgid = ? AND task_id IS NOT NULL',
      msgid,
    )
    if (row === undefined || row.recalled === 1) return false
    const card = JSON.parse(row.body) as CardBody
    const menu = (card.action_menu?.action_list ?? []).map((item) => item.key)
    if (![...buttonKeys(card), card.submit_button?.key, ...menu].includes(key)) return false
    const changed = state.run(
      `UPDATE app_delivery SET status = 'pressed', pressed_key = ? WHERE msgid = ? AND user_id = ? AND status = 'waiting'`,
      key,
      msgid,
      userId,
    )
    if (changed === 0) return false
    state.count('presses')
    state.count(`presses:${key.split(':')[0]}`)
    const code = this.codes.issueResponse(msgid, `press/${userId}`, at)
    const isMenu = menu.includes(key)
    this.core.happened(at, 'pressed', userId, row.task_id, key)
    this.core.raise(at, {
      FromUserName: userId,
      Event: isMenu ? 'template_card_menu_event' : 'template_card_event',
      EventKey: key,
      TaskId: row.task_id,
      CardType: card.card_type,
      ResponseCode: code,
      AgentID: row.agent_id,
      SelectedItems: isMenu ? undefined : selectedItems(card, selected),
    })
    return true
  }
}

/** Keys of the buttons that call back; the others open a page. */
function buttonKeys(card: CardBody): string[] {
  return (card.button_list ?? []).flatMap(({ type = 0, key }) => (type === 0 && key !== undefined ? [key] : []))
}

/** The answers of a card, as its callback tells them; `undefined` when it asks nothing. */
function selectedItems(card: CardBody, selected: Selected): XmlFields | undefined {
  const questions = [card.button_selection, card.checkbox, ...(card.select_list ?? [])].filter((q) => q !== undefined)
  if (questions.length === 0) return undefined
  const chosen = (question: CardQuestion): readonly string[] => {
    const { question_key: key, option_list: options, selected_id: id } = question
    if (selected[key] !== undefined) return selected[key]
    if (question === card.checkbox) return options.filter((o) => o.is_checked === true).map((o) => o.id)
    return [id ?? options[0]?.id ?? '']
  }
  return {
    SelectedItem: questions.map((q) => ({ QuestionKey: q.question_key, OptionIds: { OptionId: [...chosen(q)] } })),
  }
}
