import { hashKey } from '../src/random.js'

export type CallbackSecrets = { token: string; encodingAesKey: string }

/** The one self-built app with customer-contact permission. Plainly fake, the same for the same seed. */
export type SandboxApp = {
  name: string
  kind: 'self_built'
  agentId: number
  secret: string
  callback: CallbackSecrets
}

export type SandboxIdentity = { corpId: string; app: SandboxApp; contactSyncSecret: string }

export function identityOf(seed: number, callback?: CallbackSecrets): SandboxIdentity {
  return {
    corpId: `wwsandbox${hashKey(9, seed, 'corp')}`,
    app: {
      name: 'siyu',
      kind: 'self_built',
      agentId: 1000002,
      secret: `sandbox-app-secret-${hashKey(24, seed, 'secret')}`,
      callback: callback ?? {
        token: `sandboxtoken${hashKey(16, seed, 'callback-token')}`,
        // 43 characters; strict Base64 decoders want the last one to carry no spare bits.
        encodingAesKey: `sandboxonly${hashKey(31, seed, 'aes')}0`,
      },
    },
    contactSyncSecret: `sandbox-sync-secret-${hashKey(23, seed, 'sync')}`,
  }
}
