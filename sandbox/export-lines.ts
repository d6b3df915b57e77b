/** What a self-built app is told of its company. */
type Told = {
  corpId: string
  agentId: number
  secret: string
  callback: { token: string; encodingAesKey: string }
  contactSyncSecret: string
}

/** The environment that `config/service.yaml` asks for, as a shell takes it. @param url - of the sandbox */
export function exportLines({ corpId, agentId, secret, callback, contactSyncSecret }: Told, url: string): string[] {
  return Object.entries({
    WECOM_BASE_URL: url,
    WECOM_CORP_ID: corpId,
    WECOM_AGENT_ID: agentId,
    WECOM_SECRET: secret,
    WECOM_CALLBACK_TOKEN: callback.token,
    WECOM_CALLBACK_AES_KEY: callback.encodingAesKey,
    WECOM_CONTACT_SYNC_SECRET: contactSyncSecret,
  }).map(([name, value]) => `export ${name}=${value}`)
}
