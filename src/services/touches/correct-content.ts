import { carrierNames, isForGuide } from '../../domain/touches/channels.js'
import type { Content } from '../../domain/content/content.js'
import type { DispatchContent } from '../../ports/channel.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { messageContent } from './message-content.js'
import { renderContent } from '../../domain/content/render.js'
import { UNASKED } from './take-out.js'

/** Puts the words of today into what was released with this content and not asked for yet. */
export async function correctContent(deps: Deps, contentId: string): Promise<void> {
  const { docs, definitions, log } = deps
  const content = definitions.current.contents.get(contentId)
  if (content === undefined) return
  const isUnasked = { state: { $in: [...UNASKED] } }
  for (const dispatch of await docs.dispatches.find({ contentId, channel: { $in: carrierNames }, ...isUnasked })) {
    const corrected = await correctedContent(deps, dispatch, content)
    if (corrected === undefined)
      log.warn('released card keeps its words: they have no code', { dispatchId: dispatch._id, contentId })
    else await docs.dispatches.update(dispatch._id, { $set: { content: corrected } }, isUnasked)
  }
}

async function correctedContent(
  deps: Deps,
  { _id, channel, recipients, content: before }: DispatchDoc,
  content: Content,
): Promise<DispatchContent | undefined> {
  if (!isForGuide(channel)) return messageContent(deps, content, _id)
  const code = (await deps.docs.coupons.findOne({ touchId: recipients[0]?.touchId }))?.code
  if (content.coupon !== undefined && code === undefined) return undefined
  const variables = {
    brand: deps.brand.name,
    ...(content.coupon !== undefined && code !== undefined && { coupon: code }),
  }
  return { ...before, text: renderContent(content, variables) }
}
