import { cardChannels, carrierNames, channelsWith } from '../../domain/touches/channels.js'
import type { Content } from '../../domain/content/content.js'
import type { DispatchContent } from '../../ports/channel.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { cardWords } from '../guides/hand-out-tasks.js'
import type { Deps } from '../runtime/deps.js'
import { messageContent } from './message-content.js'
import { contentsOfTouches } from './pinned-content.js'
import { UNASKED } from './take-out.js'

const TO_GUIDES = channelsWith((kind) => kind.address.kind === 'staff')

/** Puts the words of today into what was released with this content and not asked for yet. */
export async function correctContent(deps: Deps, contentId: string): Promise<void> {
  const { docs, definitions, log } = deps
  const content = definitions.current.contents.get(contentId)
  if (content === undefined) return
  const isUnasked = { state: { $in: [...UNASKED] } }
  const reasons = await docs.touches.find({
    contentId,
    state: 'planned',
    channel: { $in: TO_GUIDES },
    dispatchId: { $exists: true },
  })
  const cards = { _id: { $in: reasons.flatMap((t) => t.dispatchId ?? []) } }
  const open = { channel: { $in: carrierNames }, ...isUnasked, $or: [{ contentId }, cards] }
  for (const dispatch of await docs.dispatches.find(open)) {
    const corrected = cardChannels.includes(dispatch.channel)
      ? await correctedCard(deps, dispatch)
      : messageContent(deps, content, dispatch._id)
    if (corrected === undefined)
      log.warn('released card keeps its words: it has no code, or one of them cannot be read', {
        dispatchId: dispatch._id,
        contentId,
      })
    else await docs.dispatches.update(dispatch._id, { $set: { content: corrected } }, isUnasked)
  }
}

/** A card tells of all its reasons, each in the words that its run stays on, or that corrected them. */
async function correctedCard(
  deps: Deps,
  { senderUserId: userId, recipients }: DispatchDoc,
): Promise<DispatchContent | undefined> {
  const { docs } = deps
  const touches = await docs.touches.getMany(recipients.map((r) => r.touchId))
  const profile = touches[0] && (await docs.profiles.get(touches[0].profileId))
  const externalUserId = recipients[0]?.externalUserId
  if (profile === undefined || userId === undefined || externalUserId === undefined) return undefined
  const contentOf = await contentsOfTouches(deps, touches)
  const codes = await docs.coupons.find({ touchId: { $in: touches.map((t) => t._id) } })
  const codeOf = new Map(codes.map(({ touchId, code }) => [touchId, code]))
  const reasons: { touch: (typeof touches)[number]; content: Content; couponCode?: string | undefined }[] = []
  for (const { touchId } of recipients) {
    const touch = touches.find((t) => t._id === touchId)
    const content = touch && contentOf(touch)
    if (touch === undefined || content === undefined || 'unreadable' in content) return undefined
    const couponCode = content.coupon === undefined ? undefined : codeOf.get(touchId)
    if (content.coupon !== undefined && couponCode === undefined) return undefined
    reasons.push({ touch, content, couponCode })
  }
  const { text, card } = await cardWords(deps, profile, { userId, externalUserId }, reasons)
  return { text, ...(card !== undefined && { card }) }
}
