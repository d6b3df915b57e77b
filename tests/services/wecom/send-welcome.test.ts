import { describe, expect, it } from '@jest/globals'
import type { WelcomeOutcome } from '../../../src/ports/wecom.js'
import { explainTouches } from '../../../src/services/touches/explain-touches.js'
import { sendWelcome } from '../../../src/services/wecom/send-welcome.js'
import { SECOND_MS } from '../../../src/time.js'
import { buildWorld, contactRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const AT = new Date(START)
const added = (more: object = {}) => ({
  kind: 'contact' as const,
  why: 'added' as const,
  externalUserId: 'wm-m1',
  userId: 'guide-1',
  welcomeCode: 'CODE',
  at: AT,
  ...more,
})
const WELCOME = [
  { id: 'door', when: { state: ['door-*'] }, content: 'door', attachments: [{ image: { file: 'config/a.png' } }] },
  { id: 'vip', when: { tags: [{ tag: 'vip' }] }, content: 'vip' },
  { id: 'night', when: { hours: { from: '22:00', to: '08:00' } }, content: 'night' },
  { id: 'silent', when: { members: ['guide-9'] } },
  { id: 'default', content: 'day' },
]
const DEFINITIONS = {
  tags: [{ id: 'vip', type: 'flag', when: { event: 'order_paid' } }],
  contents: ['door', 'vip', 'night', 'day'].map((id) => ({
    id,
    text: `${id} {{ brand }}`,
    ...(id === 'day' && { link: { title: 'a link', path: '/hello' } }),
  })),
  welcome: WELCOME,
}

type Sent = { code: string; text: string; attachments: readonly object[] }
let world: World
let sent: Sent[] = []
let answers: WelcomeOutcome[] = []
async function open(options: Partial<Parameters<typeof buildWorld>[1]> = {}): Promise<World> {
  sent = []
  answers = []
  world = await openWorld({
    at: START,
    definitions: DEFINITIONS,
    wecom: {
      sendWelcome: (code, text, attachments) => {
        sent.push({ code, text, attachments })
        return Promise.resolve(answers.shift() ?? { kind: 'sent' })
      },
    },
    ...options,
  })
  return world
}
const stored = async () => (await world.docs.welcomes.find({}))[0]

describe('what a new customer is greeted with', () => {
  it.each([
    ['by the channel she came through', { state: 'door-7' }, 'door Brand'],
    ['else by the last rule', { state: 'live' }, 'day Brand'],
  ])('is chosen %s', async (_how, more, text) => {
    await open()
    await sendWelcome(world.deps, added(more), AT)
    expect(sent.map((s) => s.text)).toEqual([text])
    expect(await stored()).toMatchObject({ state: 'sent', userId: 'guide-1' })
  })

  it('is chosen by the time of day', async () => {
    await open({ at: '2026-03-02T15:00:00Z' })
    const at = new Date('2026-03-02T15:00:00Z')
    await sendWelcome(world.deps, added({ at }), at)
    expect(sent[0]!.text).toBe('night Brand')
  })

  it('is chosen by the tags of one who has come back', async () => {
    await open()
    await world.accept('a', contactRecord('m1', START))
    await world.accept('b', {
      identifiers: [{ type: 'external_userid', value: 'wm-m1' }],
      events: [{ id: 'o1', name: 'order_paid', occurredAt: AT }],
    })
    await world.run()
    await sendWelcome(world.deps, added(), AT)
    expect(sent[0]!.text).toBe('vip Brand')
  })

  it('carries the link of its content, and its own attachments', async () => {
    await open()
    await sendWelcome(world.deps, added(), AT)
    await sendWelcome(world.deps, added({ state: 'door-1', welcomeCode: 'C2' }), AT)
    expect(sent[0]!.attachments).toEqual([{ kind: 'link', title: 'a link', url: 'https://m.example.com/t/hello' }])
    expect(sent[1]!.attachments).toEqual([{ kind: 'image', mediaId: 'media-config/a.png' }])
  })
})

describe('a welcome', () => {
  it('is sent once, however often the callback is worked on', async () => {
    await open()
    await sendWelcome(world.deps, added(), AT)
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toHaveLength(1)
  })

  it('that was asked for before a crash is settled by its code', async () => {
    await open()
    answers = [{ kind: 'unknown', reason: 'no_answer' }, { kind: 'delivered_before' }]
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toHaveLength(2)
    expect(await stored()).toMatchObject({ state: 'sent' })
    await world.docs.welcomes.updateMany({}, { $set: { state: 'sending' } })
    answers = [{ kind: 'delivered_before' }]
    await sendWelcome(world.deps, added(), AT)
    expect(await stored()).toMatchObject({ state: 'sent' })
  })

  it('of which nobody can tell stays unknown', async () => {
    await open()
    answers = [{ kind: 'unknown', reason: 'no_answer' }, { kind: 'expired' }]
    await sendWelcome(world.deps, added(), AT)
    expect(await stored()).toMatchObject({ state: 'unknown', reason: 'code_expired' })
  })

  it.each<[WelcomeOutcome, object]>([
    [{ kind: 'expired' }, { state: 'dropped', reason: 'code_expired' }],
    [{ kind: 'delivered_before' }, { state: 'refused', reason: 'chat_started' }],
    [
      { kind: 'refused', reason: 'errcode_40058' },
      { state: 'refused', reason: 'errcode_40058' },
    ],
  ])('that is answered with %j ends', async (answer, expected) => {
    await open()
    answers = [answer]
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toHaveLength(1)
    expect(await stored()).toMatchObject(expected)
  })

  it('is tried again while another app is sending with the code', async () => {
    await open()
    answers = [{ kind: 'again', reason: 'errcode_41096' }, { kind: 'sent' }]
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toHaveLength(2)
    expect(await stored()).toMatchObject({ state: 'sent' })
  })

  it.each([
    ['dry_mode', { sending: { mode: 'dry' as const, allowList: [] } }, {}],
    ['sending_off', { sending: { mode: 'off' as const, allowList: [] } }, {}],
    ['not_on_allow_list', { sending: { mode: 'allow_list' as const, allowList: ['wm-other'] } }, {}],
    ['rule_says_nothing', { definitions: { ...DEFINITIONS, welcome: WELCOME.slice(3, 4) } }, { userId: 'guide-9' }],
    ['no_rule', { definitions: { ...DEFINITIONS, welcome: [] } }, {}],
    ['code_expired', {}, { at: new Date(AT.getTime() - 60 * SECOND_MS) }],
  ])('is not sent for the reason %s, and says so', async (reason, options, more) => {
    await open(options)
    const event = added(more)
    await sendWelcome(world.deps, event, event.at)
    expect(sent).toEqual([])
    await world.accept('a', contactRecord('m1', START))
    await world.run()
    const why = await explainTouches(world.deps, { identifier: { type: 'external_userid', value: 'wm-m1' } })
    expect(why.welcomes).toEqual([
      expect.objectContaining({ state: 'dropped', reason, userId: event.userId, at: event.at.toISOString() }),
    ])
  })

  it('is not sent with a content that was withdrawn', async () => {
    await open()
    const { current } = world.deps.definitions
    world.deps.definitions.current = { ...current, withdrawn: new Set(current.contents.keys()) }
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toEqual([])
    expect(await stored()).toMatchObject({ state: 'dropped', reason: 'content_withdrawn' })
  })

  it('goes to those on the allow-list', async () => {
    await open({ sending: { mode: 'allow_list', allowList: ['wm-m1'] } })
    await sendWelcome(world.deps, added(), AT)
    expect(sent).toHaveLength(1)
  })
})
