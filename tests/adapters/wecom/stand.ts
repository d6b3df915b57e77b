import { sandboxAdapter } from '../../../sandbox/in-process.js'
import type { Sandbox, SandboxOptions } from '../../../sandbox/sandbox.js'
import type { ScenarioInput } from '../../../sandbox/scenario.js'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { WecomError } from '../../../src/adapters/wecom/transport/error-codes.js'
import { quietLog } from '../../../src/log.js'
import { DAY_MS } from '../../../src/time.js'
import { control, open, receiver, smallScenario } from '../../sandbox/support.js'

/** The client and the sandbox, each checked against the other. */
export type Stand = {
  sandbox: Sandbox
  client: WecomClient
  /** Another app of the company. */
  other: WecomClient
  /** The contact-sync secret. */
  sync: WecomClient
  /** What people do in their clients. */
  control<T = unknown>(path: string, body: object): Promise<T>
  /** Callbacks of one event so far, as they arrived. */
  events(name: string): Record<string, unknown>[]
  advanceDays(days: number): Promise<void>
  close(): Promise<void>
}

export async function openStand(
  scenario: Partial<ScenarioInput> = {},
  options: Partial<SandboxOptions> = {},
): Promise<Stand> {
  const apps = [{ name: 'siyu' }, { name: 'other' }]
  const sandbox = await open(smallScenario({ apps, ...scenario }), options)
  const inbox = await receiver(sandbox.app, sandbox.corpId)
  sandbox.setCallbackUrl(inbox.url)
  const clientOf = (agentId: number, secret: string) =>
    createWecomClient({
      corpId: sandbox.corpId,
      agentId,
      secret,
      clock: sandbox,
      log: quietLog,
      pause: () => Promise.resolve(),
      adapter: sandboxAdapter(sandbox),
    })
  const [own, second] = sandbox.apps
  const clients = [
    clientOf(own!.agentId, own!.secret),
    clientOf(second?.agentId ?? own!.agentId, second?.secret ?? own!.secret),
    clientOf(0, sandbox.contactSyncSecret),
  ] as const
  const [client, other, sync] = clients
  return {
    sandbox,
    client,
    other,
    sync,
    async control<T>(path: string, body: object) {
      const { status, data } = await control(sandbox, path, body)
      if (status !== 200) throw new Error(`control/${path} answered ${status}: ${JSON.stringify(data)}`)
      return data as T
    },
    events: (name) => inbox.callbacks.map(({ fields }) => fields).filter((fields) => fields['Event'] === name),
    advanceDays: (days) => sandbox.advanceTo(new Date(sandbox.now().getTime() + days * DAY_MS)),
    async close() {
      for (const one of clients) one.close()
      await sandbox.close()
      await inbox.close()
    },
  }
}

/** All pages, in one list. */
export async function all<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const items: T[] = []
  for await (const page of pages) items.push(...page)
  return items
}

/** The platform's refusal, as its code. */
export async function codeOf(call: Promise<unknown>): Promise<number | undefined> {
  try {
    await call
  } catch (err) {
    if (err instanceof WecomError) return err.errcode
    throw err
  }
  return undefined
}
