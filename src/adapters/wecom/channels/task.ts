import type { TemplateCard } from '../calls/cards.js'
import type { WecomClient } from '../client.js'
import { WecomError } from '../transport/error-codes.js'
import { clipText } from '../../../domain/content/clip.js'
import { traitsOf } from '../../../domain/touches/channels.js'
import type { Channel, Dispatch, DispatchOutcome } from '../../../ports/channel.js'
import { forCard } from '../../../escape.js'
import { hashKey } from '../../../random.js'
import { toOutcome } from './outcome.js'

/** The longest there is: within it a repeated request succeeds without a second card. */
const DUPLICATE_CHECK_SECONDS = 14_400
const TASK_ID_MAX_BYTES = 128
/** The smaller, older numbers, which every client shows in full. */
const CARD = { title: 26, text: 112, rows: 6, rowName: 5, rowValue: 30, buttons: 6, buttonText: 10 }
const REPEATED_TASK_ID = 42014

/**
 * The `task_id` of a dispatch's card, also found in the card's callbacks: the dispatch id where the platform allows it
 * (letters, digits, `_-@`, 128 bytes), else a readable part of it with its hash.
 */
export function taskIdOf(dispatchId: string): string {
  if (/^[0-9A-Za-z_@-]+$/.test(dispatchId) && dispatchId.length <= TASK_ID_MAX_BYTES) return dispatchId
  const hash = hashKey(16, 'guide-task', dispatchId)
  return `${dispatchId.replace(/[^0-9A-Za-z_@-]/g, '_').slice(0, TASK_ID_MAX_BYTES - hash.length - 1)}-${hash}`
}

/**
 * Guide tasks as cards with buttons (模板卡片, button_interaction), sent to the guide by the app. Whoever dispatches
 * keeps to `APP_MESSAGES_PER_MEMBER`: what goes beyond is dropped without a word.
 * @see developer.work.weixin.qq.com/document/path/90236 (read 2026-08)
 */
export function createTaskChannel({ client }: { client: WecomClient }): Channel {
  async function send(dispatch: Dispatch, isLate?: () => boolean): Promise<DispatchOutcome> {
    const { card } = dispatch.content
    const [guide, ...others] = dispatch.recipients
    if (guide === undefined || others.length > 0)
      return { kind: 'refused', reason: 'recipients', message: 'a guide task is for one guide' }
    if (card === undefined || card.buttons.length === 0 || card.buttons.length > CARD.buttons) {
      return {
        kind: 'refused',
        reason: 'card_missing',
        message: `a guide task needs a card with 1–${CARD.buttons} buttons`,
      }
    }
    try {
      const message = {
        toUsers: [guide.to],
        content: { msgtype: 'template_card' as const, template_card: toTemplateCard(dispatch, card) },
        duplicateCheckSeconds: DUPLICATE_CHECK_SECONDS,
      }
      const { msgId, responseCode, invalid } = await client.messages.send(message, isLate && { isLate })
      if (invalid.length > 0) {
        return {
          kind: 'refused',
          reason: 'guide_not_visible',
          message: 'the guide is outside the visible range of the app',
          elsewhere: true,
        }
      }
      return {
        kind: 'created',
        remoteId: msgId ?? taskIdOf(dispatch.id),
        ...(responseCode !== undefined && { responseCode }),
        refused: [],
      }
    } catch (err) {
      // Task ids are well-formed here, so the refusal says that this card has arrived before.
      if (err instanceof WecomError && err.errcode === REPEATED_TASK_ID) {
        return { kind: 'created', remoteId: taskIdOf(dispatch.id), refused: [] }
      }
      return toOutcome(err)
    }
  }

  return {
    ...traitsOf('task'),
    limits: { recipients: 1, buttons: CARD.buttons },
    dispatch: (dispatch, isLate) => send(dispatch, isLate),
    /** Task ids are unique inside the app: sending again either delivers what never arrived or is refused as a repetition. */
    settle: (dispatch) => send(dispatch),
    /** A card has no results of its own: what the guide did comes as a callback. */
    results: () => Promise.resolve({ recipients: [], final: true }),
    /** The card stays where it is; a second one would be a second task. */
    remind: () => Promise.resolve(),
    async cancel({ id, remoteId, recipients, closing }) {
      const [guide] = recipients
      if (closing !== undefined && guide !== undefined && (await closeCard(client, { userId: guide.to, ...closing })))
        return
      if (remoteId === taskIdOf(id)) return // known by its task id only, and recall wants the message id
      try {
        await client.messages.recall(remoteId)
      } catch (err) {
        if (!(err instanceof WecomError && err.meaning === 'already_done')) throw err
      }
    },
  }
}

/**
 * Greys the button of a card, so that nobody works on a task twice.
 * @param responseCode - from the dispatch or from the card's callback; works once, within 72 h
 * @returns false when it was too late
 */
export async function closeCard(
  client: { messages: Pick<WecomClient['messages'], 'updateButton'> },
  { userId, responseCode, text }: { userId: string; responseCode: string; text: string },
): Promise<boolean> {
  try {
    await client.messages.updateButton(userId, responseCode, clipText(text, CARD.buttonText))
    return true
  } catch (err) {
    if (err instanceof WecomError && err.meaning === 'already_done') return false
    throw err
  }
}

function toTemplateCard(dispatch: Dispatch, card: NonNullable<Dispatch['content']['card']>): TemplateCard {
  const { text, link } = dispatch.content
  return {
    card_type: 'button_interaction',
    task_id: taskIdOf(dispatch.id),
    main_title: { title: clipText(forCard(card.title), CARD.title) },
    ...(text !== '' && { sub_title_text: clipText(text, CARD.text) }),
    horizontal_content_list: card.rows.slice(0, CARD.rows).map(({ name, value }) => ({
      keyname: clipText(name, CARD.rowName),
      value: clipText(forCard(value), CARD.rowValue),
    })),
    button_list: card.buttons.map((button, i) => ({
      type: 0,
      text: clipText(button.text, CARD.buttonText),
      style: i === 0 ? 1 : 2,
      key: button.key,
    })),
    ...(link !== undefined && { card_action: { type: 1, url: link.url } }),
  }
}
