/** What the platform answered to one question that changes nothing. */
export type ProbeAnswer =
  | {
      kind: 'answer'
      /** 0: it said yes. */
      errcode: number
      /** The address it saw us come from, where its error says so. */
      seenIp?: string
      body: Readonly<Record<string, unknown>>
    }
  /** Not reached, or something else answered; `why` names no secret. */
  | { kind: 'unreachable'; why: string }

export type ProbeApp = 'app' | 'contact_sync'

/** Asks the platform raw questions, to find out what a setting is worth. Nothing is repeated and nothing is changed. */
export interface WecomProbe {
  /** How far the platform's clock is ahead of ours, in milliseconds, ± 1 s; `undefined` when it does not tell. */
  clockAheadMs(): Promise<{ aheadMs?: number } | { why: string }>
  /** Fetches the token of one of our secrets; `ask` uses it afterwards. */
  signIn(as: ProbeApp): Promise<ProbeAnswer>
  /** One read. @param api - path below `/cgi-bin/` */
  ask(as: ProbeApp, api: string, query?: Readonly<Record<string, string | number>>, body?: object): Promise<ProbeAnswer>
}
