import { z } from 'zod'
import { DAY_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { Refusal } from '../core/endpoint.js'
import { type Person, readPerson } from './people.js'
import { type Call, MINI_PROGRAM, OFFICIAL_ACCOUNT, OK, parse, type Reply, type Routes } from './route.js'
import { wrongField } from './template-values.js'

const Send = z.looseObject({
  touser: z.string(),
  template_id: z.string(),
  page: z.string().optional(),
  client_msg_id: z.string().optional(),
  data: z.record(z.string(), z.looseObject({ value: z.union([z.string(), z.number()]).transform(String) })),
})

/** Template messages of the official account, and messages that somebody has subscribed to. */
export function messageRoutes(world: World): Routes {
  return {
    '/cgi-bin/message/template/send': {
      ...OFFICIAL_ACCOUNT,
      limit: { calls: 100_000, windowMs: DAY_MS, errcode: 45009 },
      handle: (call) => sendTemplate(world, call),
    },
    '/cgi-bin/message/subscribe/send': { ...MINI_PROGRAM, handle: (call) => sendSubscribe(world, call) },
    '/cgi-bin/message/subscribe/bizsend': { ...OFFICIAL_ACCOUNT, handle: (call) => sendSubscribe(world, call) },
  }
}

function sendTemplate(world: World, { params, appId, now }: Call): Reply {
  const message = parse(Send, params)
  const before = message.client_msg_id && messageOfClient(world, message.client_msg_id)
  if (before) return { ...OK, msgid: before.seq }
  const person = readPerson(world, message.touser, appId, now)
  if (person.subscribed === 0) throw new Refusal(43004, 'require subscribe')
  return { ...OK, msgid: storeMessage(world, 'template', person, message, now) }
}

function sendSubscribe(world: World, { params, appId, now }: Call): Reply {
  const message = parse(Send, params)
  const person = readPerson(world, message.touser, appId, now)
  const template = templateOf(world, message.template_id, ['subscribe_once', 'subscribe_long'])
  if (message.page?.startsWith('/') === true) throw new Refusal(41030, 'invalid page')
  const left = world.state.get<{ n: number }>(
    'SELECT n FROM weixin_consent WHERE openid = ? AND template_id = ?',
    person.openid,
    template.id,
  )
  if (left === undefined || left.n === 0) throw new Refusal(43101, 'user refuse to accept the msg')
  storeMessage(world, 'subscribe', person, message, now)
  if (template.kind === 'subscribe_once') {
    world.state.run(
      'UPDATE weixin_consent SET n = n - 1 WHERE openid = ? AND template_id = ?',
      person.openid,
      template.id,
    )
  }
  return OK
}

function storeMessage(
  world: World,
  kind: 'template' | 'subscribe',
  person: Person,
  message: z.infer<typeof Send>,
  now: Date,
): number {
  const template = templateOf(
    world,
    message.template_id,
    kind === 'template' ? ['template'] : ['subscribe_once', 'subscribe_long'],
  )
  const values = Object.fromEntries(Object.entries(message.data).map(([field, { value }]) => [field, value]))
  const wrong = wrongField(template.fields, values)
  if (wrong !== undefined) throw new Refusal(47003, `argument invalid! data.${wrong}.value invalid`)
  world.state.run(
    'INSERT INTO weixin_message (kind, openid, template_id, body, sent_ms, client_msg_id) VALUES (?, ?, ?, ?, ?, ?)',
    kind,
    person.openid,
    template.id,
    JSON.stringify(message),
    now.getTime(),
    message.client_msg_id ?? null,
  )
  return world.state.get<{ seq: number }>('SELECT max(seq) AS seq FROM weixin_message')!.seq
}

function messageOfClient({ state }: World, id: string): { seq: number } | undefined {
  return state.get<{ seq: number }>('SELECT seq FROM weixin_message WHERE client_msg_id = ?', id)
}

function templateOf(world: World, id: string, kinds: readonly string[]) {
  const template = world.scenario.weixin.templates.find((t) => t.id === id && kinds.includes(t.kind))
  if (template === undefined) throw new Refusal(40037, 'invalid template_id')
  return template
}
