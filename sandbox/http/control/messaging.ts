import { z } from 'zod'
import { NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { visitKf } from '../wecom/kf/visit.js'
import { pay } from '../wecom/payments.js'
import { webhookKey } from '../wecom/webhook.js'

type Route = (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>
type Parts = {
  world: World
  now: () => Date
  /** Sends the callbacks of what was just done. */
  act: () => Promise<void>
}

const Text = z.string().min(1)
const Bodies = {
  visit: z.strictObject({
    openKfId: Text,
    externalUserId: Text,
    nickname: Text.default('顾客'),
    unionId: Text.optional(),
    scene: z.string().max(32).optional(),
    text: Text.optional(),
  }),
  pay: z.strictObject({
    externalUserId: Text,
    userId: Text,
    amountFen: z.int().min(1),
    mchId: z.string().regex(/^\d{8,12}$/, '8–12 digits'),
    paymentType: z.int().min(0).max(3).default(0),
    remark: z.string().default(''),
    goods: z.array(z.strictObject({ description: Text, amount: z.int().min(1) })).default([]),
  }),
}
/** What apps make and people see: any kind that `openObjects` keeps. */
const OBJECTS_PAGE = 1_000

/** What customers do towards customer service and with their purses, and what apps have made. */
export function messagingControls({ world, now, act }: Parts): Record<string, Route> {
  return {
    'POST /control/kf/visit': async (body) => {
      const { unionId, scene, text, ...visit } = parseInput(Bodies.visit, body)
      const more = { ...(unionId && { unionId }), ...(scene && { scene }), ...(text && { text }) }
      if (!world.write(() => visitKf(world, { ...visit, ...more }, now())))
        throw new NotFoundError(`no customer-service account "${visit.openKfId}"`)
      await act()
      return { json: { ok: true } }
    },
    'POST /control/bills/pay': async (body) => {
      const payment = parseInput(Bodies.pay, body)
      const member = world.member(payment.userId)
      if (member === undefined) throw new NotFoundError(`no member "${payment.userId}" in the scenario`)
      const transactionId = world.write(() => pay(world, { ...payment, userId: member.userId }, now()))
      await act()
      return { json: { transactionId } }
    },
    'GET /control/objects': (_body, query) => {
      const kind = parseInput(Text, query.get('kind') ?? undefined, 'kind')
      const after = parseInput(z.coerce.number().int().min(0).default(0), query.get('after') ?? undefined, 'after')
      const rows = openObjects<unknown>(world.state, world.seed, kind).list(after, OBJECTS_PAGE)
      const items = rows.map(({ id, body }) => ({ id, body }))
      return Promise.resolve({ json: { items, next: rows.at(-1)?.seq ?? after } })
    },
    'GET /control/webhooks': () =>
      Promise.resolve({
        json: { webhooks: world.scenario.webhooks.map((w) => ({ name: w.name, key: webhookKey(world.seed, w) })) },
      }),
  }
}
