import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import axios from 'axios'
import { XMLParser } from 'fast-xml-parser'
import { decrypt, signatureOf } from '../../sandbox/crypto.js'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario, type ScenarioInput } from '../../sandbox/scenario.js'

export const START = new Date('2011-09-10T02:00:00Z') // Saturday 10:00 in Shanghai
export const PROMPT = { confirmAtOnce: 1, confirmLate: 0, never: 0 }
/** The first bytes of a picture, which is all that the platform's check of the kind looks at here. */
export const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13])
/** Of clients whose time-out is not what is tested. */
export const PATIENCE_MS = 60_000
export const NEVER = { confirmAtOnce: 0, confirmLate: 0, never: 1 }

type ContactInput = NonNullable<ScenarioInput['contacts']>[number]

export function contact(externalUserId: string, owner: string, more: Partial<ContactInput> = {}): ContactInput {
  return {
    externalUserId,
    name: `顾客 ${externalUserId}`,
    addedAt: '2011-01-01T00:00:00Z',
    followUserIds: [owner],
    ...more,
  }
}

/** Guide g1 is prompt, g2 never acts; c1–c3 belong to g1, c4 to g2, c5 to both. */
export function smallScenario(more: Partial<ScenarioInput> = {}): ScenarioInput {
  return {
    members: [
      { userId: 'g1', name: '导购 001', diligence: PROMPT },
      { userId: 'g2', name: '导购 002', diligence: NEVER },
      { userId: 'g3', name: '导购 003', diligence: PROMPT },
    ],
    contacts: [
      contact('wmc1', 'g1', {
        unionId: 'ou1',
        gender: 2,
        state: 'shop',
        remarkMobiles: ['00000000001'],
        tagIds: ['etVip'],
      }),
      contact('wmc2', 'g1'),
      contact('wmc3', 'g1'),
      contact('wmc4', 'g2'),
      contact('wmc5', 'g1', { followUserIds: ['g1', 'g2'] }),
    ],
    corpTags: [{ groupId: 'etLevel', name: '等级', tags: [{ tagId: 'etVip', name: '重要' }] }],
    ...more,
  }
}

export async function open(
  scenario: ScenarioInput = smallScenario(),
  more: Partial<SandboxOptions> = {},
): Promise<Sandbox> {
  return startSandbox({
    file: ':memory:',
    seed: 1,
    startAt: START,
    clock: 'step',
    scenario: parseScenario(scenario),
    ...more,
  })
}

export type Reply = { errcode: number; errmsg: string } & Record<string, unknown>
export type Api = {
  get(path: string, params?: object): Promise<Reply>
  post(path: string, body: object | string): Promise<Reply>
}

/** A bare client: a token, then GET and POST under /cgi-bin/. */
export async function client(sandbox: Sandbox, secret = sandbox.app.secret): Promise<Api> {
  const http = axios.create({ baseURL: `${sandbox.url}/cgi-bin/`, timeout: PATIENCE_MS, proxy: false })
  const { data } = await http.get<Reply>('gettoken', { params: { corpid: sandbox.corpId, corpsecret: secret } })
  const access_token = data['access_token']
  return {
    get: async (path, params = {}) => (await http.get<Reply>(path, { params: { access_token, ...params } })).data,
    post: async (path, body) => (await http.post<Reply>(path, body, { params: { access_token } })).data,
  }
}

export async function control(
  sandbox: Sandbox,
  path: string,
  body: object,
): Promise<{ status: number; data: Record<string, unknown> }> {
  const headers = { Authorization: `Bearer ${sandbox.controlKey}` }
  return axios.post(`${sandbox.url}/control/${path}`, body, {
    headers,
    validateStatus: () => true,
    proxy: false,
    timeout: PATIENCE_MS,
  })
}

export type Callback = { raw: string; fields: Record<string, unknown> }
export type Receiver = { url: string; callbacks: Callback[]; refuse(times: number): void; close(): Promise<void> }

const parser = new XMLParser({ parseTagValue: false, processEntities: false })
export const parseXml = (xml: string) => (parser.parse(xml) as { xml: Record<string, unknown> }).xml

/** An app's callback address: checks the signature, decrypts, remembers, acknowledges; answers the URL check. */
export async function receiver(
  app: Sandbox['app'],
  corpId: string,
  onCall: (query: URLSearchParams) => void = () => undefined,
): Promise<Receiver> {
  const callbacks: Callback[] = []
  let refusals = 0
  const { token, encodingAesKey } = app.callback
  const open = (query: URLSearchParams, encrypted: string): string => {
    const expected = signatureOf(token, query.get('timestamp') ?? '', query.get('nonce') ?? '', encrypted)
    if (query.get('msg_signature') !== expected) throw new Error('signature does not match')
    const { message, receiveId } = decrypt(encodingAesKey, encrypted)
    if (receiveId !== corpId) throw new Error('not for us')
    return message
  }
  const server = createServer((req, res) => {
    const query = new URL(req.url ?? '', 'http://x').searchParams
    onCall(query)
    if (req.method === 'GET') return void res.end(open(query, query.get('echostr') ?? ''))
    let raw = ''
    req.on('data', (chunk: Buffer) => (raw += chunk.toString()))
    req.on('end', () => {
      if (refusals > 0) {
        refusals--
        res.statusCode = 500
      } else {
        const body = open(query, String(parseXml(raw)['Encrypt']))
        callbacks.push({ raw: body, fields: parseXml(body) })
      }
      res.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    callbacks,
    refuse: (times) => (refusals = times),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export const hours = (n: number) => new Date(START.getTime() + n * 3_600_000)

/** One mass message with a link of its own. */
export function massBody(sender: string | undefined, ids: string[] | undefined, n: string | number = 1): object {
  return {
    chat_type: 'single',
    ...(sender === undefined ? {} : { sender }),
    ...(ids === undefined ? {} : { external_userid: ids }),
    text: { content: `您好 ${n}` },
    attachments: [{ msgtype: 'link', link: { title: '新品', url: `https://shop.example/?d=${n}` } }],
  }
}

export function cardBody(
  sandbox: Sandbox,
  userId: string,
  taskId: string,
  keys: string[] = ['done', 'interested', 'stop'],
): object {
  return {
    touser: userId,
    msgtype: 'template_card',
    agentid: sandbox.app.agentId,
    template_card: {
      card_type: 'button_interaction',
      main_title: { title: '今日跟进' },
      task_id: taskId,
      horizontal_content_list: [{ keyname: '客户', value: 'c1' }],
      button_list: keys.map((key) => ({ text: key, key })),
    },
  }
}
