import { followerCalls } from './followers.js'
import { messageCalls } from './messages.js'
import { miniProgramCalls } from './mini-program.js'
import { createWechatTransport, type WechatOptions } from './transport.js'

export type WechatClient = ReturnType<typeof createWechatClient>

/**
 * The calls of one official account or mini program; which of them it may make depends on its kind. Every method throws
 * {WechatError} when refused, {UpstreamError} when not reached, {UnknownOutcomeError} when a call with an effect lost
 * its answer.
 */
export function createWechatClient(options: WechatOptions) {
  const transport = createWechatTransport(options)
  return {
    appId: options.appId,
    followers: followerCalls(transport),
    messages: messageCalls(transport),
    miniProgram: miniProgramCalls(transport),
    /** May be called twice. */
    close: () => transport.close(),
  }
}
