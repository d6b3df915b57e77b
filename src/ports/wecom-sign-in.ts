/** What `ww.register` asks for to let a page call WeCom's client. */
export type PageSignature = { timestamp: number; nonceStr: string; signature: string }

/** Who looks at a page inside WeCom, and what lets that page talk to WeCom's client. */
export interface WecomSignIn {
  readonly corpId: string
  readonly agentId: number
  /** Where to send the browser; it comes back to `redirectUri` with `code` and `state`. @param state - letters and digits */
  authorizeUrl(redirectUri: string, state: string): string
  /** The member behind a code (5 min, once); `undefined` for an outsider and for a code that is no good (any more). */
  memberOf(code: string): Promise<string | undefined>
  /** @param kind - `corp` for `getConfigSignature`, `agent` for `getAgentConfigSignature` @param pageUrl - without `#…` */
  signature(kind: 'corp' | 'agent', pageUrl: string): Promise<PageSignature>
}
