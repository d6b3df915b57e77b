import { hashKey } from '../src/random.js'
import { type AppSettings, Apps, type CallbackSecrets } from './switches.js'

export type { CallbackSecrets }

/** Who calls: an app, or the contact-sync assistant, which is one for the purposes of tokens and permissions. */
export type App = {
  readonly name: string
  readonly kind: AppSettings['kind'] | 'contact_sync'
  /** 0: the contact-sync assistant has none. */
  readonly agentId: number
  readonly secret: string
  readonly callback: CallbackSecrets
  /** What the administrator can change while it runs. */
  callbackUrl: string | undefined
  customerContact: boolean
  visible: AppSettings['visible']
  trustedIps: readonly string[] | undefined
  disabled: boolean
}
/** An app as programs see it. */
export type SandboxApp = App & { readonly kind: AppSettings['kind'] }

export type SandboxIdentity = {
  corpId: string
  apps: readonly SandboxApp[]
  /** The first one. */
  app: SandboxApp
  contactSync: App
  contactSyncSecret: string
}

const FIRST_AGENT_ID = 1_000_002

/** Plainly fake ids and secrets, the same for the same seed. @param callback - of the first app */
export function identityOf(
  seed: number,
  callback?: CallbackSecrets,
  settings: readonly AppSettings[] = Apps.parse(undefined),
): SandboxIdentity {
  const apps = settings.map((app, i): SandboxApp => {
    const own = i === 0 ? [] : [app.name]
    const secrets = app.callback ?? (i === 0 ? callback : undefined) ?? callbackOf(seed, own)
    return {
      name: app.name,
      kind: app.kind,
      agentId: app.agentId ?? FIRST_AGENT_ID + i,
      secret: app.secret ?? `sandbox-app-secret-${hashKey(24, seed, 'secret', ...own)}`,
      callback: secrets,
      callbackUrl: app.callbackUrl,
      customerContact: app.customerContact,
      visible: app.visible,
      trustedIps: app.trustedIps,
      disabled: app.disabled,
    }
  })
  const contactSyncSecret = `sandbox-sync-secret-${hashKey(23, seed, 'sync')}`
  const contactSync: App = {
    name: 'contact_sync',
    kind: 'contact_sync',
    agentId: 0,
    secret: contactSyncSecret,
    callback: callbackOf(seed, ['contact_sync']),
    callbackUrl: undefined,
    customerContact: false,
    visible: undefined,
    trustedIps: undefined,
    disabled: false,
  }
  return { corpId: `wwsandbox${hashKey(9, seed, 'corp')}`, apps, app: apps[0]!, contactSync, contactSyncSecret }
}

function callbackOf(seed: number, own: readonly string[]): CallbackSecrets {
  return {
    token: `sandboxtoken${hashKey(16, seed, 'callback-token', ...own)}`,
    // 43 characters; strict Base64 decoders want the last one to carry no spare bits.
    encodingAesKey: `sandboxonly${hashKey(31, seed, 'aes', ...own)}0`,
  }
}
