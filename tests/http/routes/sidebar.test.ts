import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createGuideSessions } from '../../../src/http/guide-session.js'
import { createMetrics } from '../../../src/http/metrics.js'
import { sidebarRouter } from '../../../src/http/routes/sidebar.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  operationsOf,
  type World,
} from '../../support/build-deps.js'

const START = '2026-03-02T02:00:00Z'
const PUBLIC_URL = 'http://siyu.example.com'
let home: EventHome
let world: World
let server: HttpServer
let url: string

beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, {
    at: START,
    definitions: {
      tags: [
        {
          id: 'mood',
          name: { zh: '心情', en: 'Mood' },
          type: 'choice',
          cases: [{ value: 'keen', name: { zh: '有兴趣', en: 'Keen' }, when: { event: 'asked' } }],
        },
      ],
      journeys: [
        { id: 'call', enter: { on: 'asked' }, steps: [{ task: { title: '回电', script: 'words', due: '2d' } }] },
      ],
      contents: [
        { id: 'words', text: '{{ brand }}您好', link: { title: '新品', path: '/new' } },
        { id: 'gift', text: '券码 {{ coupon }}', coupon: 'pool' },
      ],
      coupons: [{ id: 'pool', codes: ['CODE-0001'] }],
    },
  })
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: ['test-key-0123456789'],
    log: quietLog,
    routes: [],
    publicRoutes: [
      sidebarRouter({
        deps: world.deps,
        sessions: createGuideSessions('the app secret', world.clock),
        publicUrl: PUBLIC_URL,
        closeTask: (guide, task, outcome) =>
          runOperation(operationsOf(world), `guide:${guide}`, 'tasks/close', { guide, task, outcome }),
        signIn: {
          corpId: 'wwtest',
          agentId: 7,
          authorizeUrl: (redirectUri, state) => `https://sign-in.example.com/?to=${redirectUri}&state=${state}`,
          memberOf: (code) => Promise.resolve({ 'code-1': 'guide-1', 'code-2': 'guide-2' }[code]),
          signature: (kind, pageUrl) => Promise.resolve({ timestamp: 1, nonceStr: kind, signature: pageUrl }),
        },
      }),
    ],
    health: async () => ({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  url = (await server.listen()).url
  await world.accept('a', contactRecord('m1', START, 'guide-1'), eventRecord('m1', 'asked', START))
  await world.accept('b', contactRecord('m2', START, 'guide-2'))
  await world.run()
})
afterEach(async () => {
  await server.close()
  await world.close()
})

type Answer = { status: number; body: unknown; cookies: string[]; location: string | null }

async function ask(path: string, cookie = '', init: RequestInit = {}): Promise<Answer> {
  const headers = { Cookie: cookie, ...(init.headers as Record<string, string> | undefined) }
  const reply = await fetch(`${url}${path}`, { redirect: 'manual', ...init, headers })
  const text = await reply.text()
  return {
    status: reply.status,
    body: reply.headers.get('Content-Type')?.includes('json') === true ? (JSON.parse(text) as unknown) : text,
    cookies: reply.headers.getSetCookie().map((c) => c.split(';', 1)[0]!),
    location: reply.headers.get('Location'),
  }
}

/** Goes the whole way through WeCom's sign-in page. */
async function signIn(code: string, to = '/sidebar'): Promise<Answer> {
  const start = await ask(`/sidebar/sign-in?to=${encodeURIComponent(to)}`)
  const state = new URL(start.location!).searchParams.get('state')!
  return ask(`/sidebar/signed-in?code=${code}&state=${state}`, start.cookies.join('; '))
}

async function sessionOf(code: string): Promise<string> {
  return (await signIn(code)).cookies.find((c) => c.startsWith('siyu_guide='))!
}

const close = (session: string, taskId: string, key: string) =>
  ask(`/sidebar/tasks/${encodeURIComponent(taskId)}/close`, session, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ key }),
  })

describe('signing in', () => {
  it('goes through WeCom and comes back to the page that was asked for', async () => {
    const back = await signIn('code-1', '/sidebar?from=chat')
    expect(back).toMatchObject({ status: 302, location: '/sidebar?from=chat' })
    expect((await ask('/sidebar/tasks', await sessionOf('code-1'))).status).toBe(200)
  })

  it('refuses outsiders, a state that is not the browser’s own, and pages of other hosts', async () => {
    expect((await signIn('code-of-a-customer')).status).toBe(403)
    const start = await ask('/sidebar/sign-in')
    expect((await ask('/sidebar/signed-in?code=code-1&state=abc', start.cookies.join('; '))).status).toBe(401)
    expect((await ask('/sidebar/signed-in?code=code-1&state=')).status).toBe(401)
    expect((await ask('/sidebar/sign-in?to=//evil.example.com')).status).toBe(400)
    expect((await ask('/sidebar/sign-in?to=https://evil.example.com')).status).toBe(400)
  })

  it.each(['/sidebar/tasks', '/sidebar/customers/wm-m1', '/sidebar/materials', '/sidebar/signatures?url=http://a.b'])(
    'is needed for %s, and neither forged nor ended sessions will do',
    async (path) => {
      expect((await ask(path)).status).toBe(401)
      const session = await sessionOf('code-1')
      const [payload, signature] = session.slice('siyu_guide='.length).split('.')
      const forged = Buffer.from(Buffer.from(payload!, 'base64url').toString().replace('guide-1', 'guide-2'))
      expect((await ask(path, `siyu_guide=${forged.toString('base64url')}.${signature}`)).status).toBe(401)
      world.clock.set(new Date(Date.parse(START) + DAY_MS / 2))
      expect((await ask(path, session)).status).toBe(401)
    },
  )
})

describe('signing out', () => {
  it.each([['guide-1'], [undefined]])('of %s ends sessions at once, and new ones begin after it', async (guide) => {
    const [first, second] = [await sessionOf('code-1'), await sessionOf('code-2')]
    world.clock.set(new Date(Date.parse(START) + SECOND_MS))
    await runOperation(operationsOf(world), 'operator', 'guides/sign-out', guide === undefined ? {} : { guide })
    expect((await ask('/sidebar/tasks', first)).status).toBe(401)
    expect((await ask('/sidebar/tasks', second)).status).toBe(guide === undefined ? 401 : 200)
    world.clock.set(new Date(Date.parse(START) + 2 * SECOND_MS))
    expect((await ask('/sidebar/tasks', await sessionOf('code-1'))).status).toBe(200)
  })

  it('is what leaving the company does', async () => {
    const session = await sessionOf('code-1')
    const member = { _id: 'guide-1', departmentIds: [], serves: false, state: 'left' as const }
    await world.docs.wecomMembers.put([member])
    expect((await ask('/sidebar/tasks', session)).status).toBe(401)
  })
})

describe('a guide', () => {
  it('sees her customer with tags, task and words', async () => {
    const { body } = await ask('/sidebar/customers/wm-m1', await sessionOf('code-1'))
    expect(body).toMatchObject({
      externalUserId: 'wm-m1',
      optedOut: false,
      tags: [{ id: 'mood', name: '心情', value: '有兴趣' }],
      tasks: [{ titles: ['回电'], dueAt: '2026-03-04T02:00:00.000Z' }],
    })
  })

  it('sees nothing of another guide’s customer, and cannot tell her from nobody', async () => {
    const session = await sessionOf('code-1')
    const hers = await ask('/sidebar/customers/wm-m2', session)
    const nobody = await ask('/sidebar/customers/wm-none', session)
    expect(hers.status).toBe(404)
    expect(nobody).toEqual({ ...hers })
  })

  it('closes her task as the button of its card would, once', async () => {
    const session = await sessionOf('code-1')
    const { tasks } = (await ask('/sidebar/tasks', session)).body as {
      tasks: { id: string; outcomes: { key: string }[] }[]
    }
    const { id, outcomes } = tasks[0]!
    expect((await close(await sessionOf('code-2'), id, outcomes[0]!.key)).status).toBe(404)
    expect((await close(session, id, 'no-such-outcome')).status).toBe(404)
    expect((await close(session, id, outcomes[0]!.key)).status).toBe(200)
    await world.run()
    expect((await close(session, id, outcomes[0]!.key)).status).toBe(200)
    await world.run()
    expect(await world.docs.tasks.get(id)).toMatchObject({ state: 'done', outcome: outcomes[0]!.key })
    expect((await ask('/sidebar/tasks', session)).body).toEqual({ tasks: [] })
  })

  it('finds ready words by what they say; personal codes are not among them', async () => {
    const session = await sessionOf('code-1')
    const { body } = await ask('/sidebar/materials', session)
    expect((body as { materials: { id: string }[] }).materials.map((m) => m.id)).toEqual(['words'])
    expect((await ask('/sidebar/materials?q=nothing', session)).body).toEqual({ materials: [] })
  })

  it('gets signatures for our own pages only', async () => {
    const session = await sessionOf('code-1')
    const page = `${PUBLIC_URL}/sidebar?a=1`
    const { body } = await ask(`/sidebar/signatures?url=${encodeURIComponent(`${page}#top`)}`, session)
    expect(body).toEqual({
      corpId: 'wwtest',
      agentId: 7,
      config: { timestamp: 1, nonceStr: 'corp', signature: page },
      agentConfig: { timestamp: 1, nonceStr: 'agent', signature: page },
    })
    expect((await ask('/sidebar/signatures?url=http://evil.example.com/', session)).status).toBe(400)
  })
})
