import type { Sandbox } from '../sandbox/sandbox.js'
import type { Config } from '../src/config.js'

/** A sandbox as the service's WeCom: nothing is reconciled, counted or reported by itself. */
export function wecomOf({ url, corpId, app }: Sandbox, writeback: 'on' | 'off'): NonNullable<Config['wecom']> {
  return {
    ...{ baseUrl: url, corpId, agentId: app.agentId, secret: app.secret, callback: app.callback },
    ...{ reconcileAt: 'off', statisticsAt: 'off', writeback, lostNotice: { guide: false, userIds: [] } },
  }
}
