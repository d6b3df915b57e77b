import { afterEach, describe, expect, it } from '@jest/globals'
import { PuppetMock, mock } from 'wechaty-puppet-mock'
import { WechatyBuilder, type Wechaty } from 'wechaty'
import { type BotOptions, runWechatyBot } from '../../../src/adapters/wechaty/bot.js'
import { loadWechaty } from '../../../src/adapters/wechaty/load.js'
import { ConfigError } from '../../../src/errors.js'
import { quietLog } from '../../../src/log.js'
import type { ChatBot, ChatBotState, ChatSighting } from '../../../src/ports/chat-bot.js'
import { fixedClock } from '../../../src/time.js'
import { waitUntil } from '../../support/wait-until.js'

const AT = new Date('2026-03-02T02:00:00Z')
type Mocker = InstanceType<typeof mock.Mocker>
type Stand = {
  mocker: Mocker
  bots: Wechaty[]
  seen: ChatSighting[]
  states: ChatBotState[]
  errors: string[]
  pauses: number[]
}
const running: ChatBot[] = []

afterEach(async () => {
  for (let bot = running.pop(); bot !== undefined; bot = running.pop()) await bot.close()
})

/** The mock's own types come from another copy of the puppet interface. */
function buildWith(mocker: Mocker): Wechaty {
  return WechatyBuilder.build({ puppet: new PuppetMock({ mocker }) as never })
}

async function open(more: Partial<BotOptions> = {}): Promise<Stand> {
  const stand: Stand = { mocker: new mock.Mocker(), bots: [], seen: [], states: [], errors: [], pauses: [] }
  running.push(
    runWechatyBot({
      build: () => {
        const bot = buildWith((stand.mocker = new mock.Mocker()))
        stand.bots.push(bot)
        return bot
      },
      clock: fixedClock(AT),
      log: { ...quietLog, error: (fact) => void stand.errors.push(fact) },
      take: async (sightings) => void stand.seen.push(...sightings),
      onState: async (state) => void stand.states.push(state),
      pause: async (ms) => void stand.pauses.push(ms),
      ...more,
    }),
  )
  await waitUntil(() => stand.states.includes('starting'), { what: 'the bot to start' })
  return stand
}

async function signIn({ mocker, bots, states }: Stand) {
  await waitUntil(() => (bots.at(-1) as { state?: { active(): unknown } } | undefined)?.state?.active() === true, {
    what: 'the bot to be active',
  })
  const guide = mocker.createContact({ id: 'guide-01', name: '导购 017' })
  mocker.login(guide)
  await waitUntil(() => states.includes('signed_in'), { what: 'the sign-in' })
  const customer = mocker.createContact({ id: 'c42', handle: 'wmAAAA0042', coworker: false })
  return { guide, customer }
}

describe('a bot', () => {
  it('sees what customers write, and what it writes to them', async () => {
    const stand = await open()
    const { guide, customer } = await signIn(stand)
    customer.say('多少钱').to(guide)
    await waitUntil(() => stand.seen.length === 1, { what: 'the first sighting' })
    guide.say('九折').to(customer)
    await waitUntil(() => stand.seen.length === 2, { what: 'the second sighting' })
    const head = { puppet: 'mock', botId: 'guide-01', kind: 'message', type: 'text' }
    expect(stand.seen).toMatchObject([
      { ...head, from: 'customer', text: '多少钱', person: { contactId: 'c42', externalUserId: 'wmAAAA0042' } },
      { ...head, from: 'guide', text: '九折', person: { contactId: 'c42' } },
    ])
  })

  it('sees rooms, and friendships', async () => {
    const stand = await open()
    const { guide, customer } = await signIn(stand)
    const room = stand.mocker.createRoom({
      id: 'r1@@room',
      topic: '护肤群',
      memberIdList: ['guide-01', 'c42'],
    })
    customer.say('大家好').to(room)
    await waitUntil(() => stand.seen.length === 1, { what: 'the first sighting' })
    expect(stand.seen[0]).toMatchObject({ kind: 'message', room: { id: 'r1@@room', topic: '护肤群' } })
    const other = stand.mocker.createContact({ id: 'c43', coworker: false })
    room.add(other).by(guide)
    await waitUntil(() => stand.seen.length === 2, { what: 'the second sighting' })
    expect(stand.seen[1]).toMatchObject({ kind: 'room', change: 'joined', person: { contactId: 'c43' } })

    // As the mock would: a raw payload is what it reads friendships from.
    const puppet = stand.bots[0]!.puppet as unknown as PuppetMock
    puppet.friendshipRawPayload = async (id: string) => ({ id, contactId: 'c43', hello: '', timestamp: 0, type: 2 })
    puppet.emit('friendship', { friendshipId: 'f1' })
    await waitUntil(() => stand.seen.length === 3, { what: 'the third sighting' })
    expect(stand.seen[2]).toMatchObject({ kind: 'friendship', change: 'requested', id: 'friend:f1' })
  })

  it('keeps what could not be stored, and gives it again', async () => {
    let refused = 0
    const stored: ChatSighting[] = []
    const stand = await open({
      take: async (sightings) => {
        if (refused++ < 2) throw new Error('the store is away')
        stored.push(...sightings)
      },
    })
    const { guide, customer } = await signIn(stand)
    customer.say('你好').to(guide)
    await waitUntil(() => stored.length === 1, { what: 'the sighting to be stored' })
    expect(stand.pauses).toEqual([1_000, 2_000])
  })

  it('that stops is started anew, and one that never starts calls a person', async () => {
    const stand = await open()
    await signIn(stand)
    await stand.bots[0]!.stop()
    await waitUntil(() => stand.bots.length === 2, { what: 'a second bot' })
    expect(stand.pauses).toEqual([1_000])

    const broken: number[] = []
    const errors: string[] = []
    const never = runWechatyBot({
      build: () => {
        const bot = buildWith(new mock.Mocker())
        bot.start = () => Promise.reject(new Error('no token'))
        return bot
      },
      clock: fixedClock(AT),
      log: { ...quietLog, error: (fact) => void errors.push(fact) },
      take: async () => undefined,
      onState: async () => undefined,
      pause: (ms) => new Promise((resolve) => setTimeout(() => (broken.push(ms), resolve()), 1)),
    })
    running.push(never)
    await waitUntil(() => broken.length >= 10, { what: 'ten starts' })
    expect(broken.slice(0, 10)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((s) => s * 1_000))
    expect(errors).toEqual([expect.stringContaining('five starts in a row failed')])
  })

  it('that was signed out says so', async () => {
    const stand = await open()
    await signIn(stand)
    await stand.bots[0]!.logout()
    await waitUntil(() => stand.states.includes('signed_out'), { what: 'the sign-out' })
  })
})

describe('loading', () => {
  it('says what to install', async () => {
    const settings = { module: 'wechaty', puppet: 'wechaty-puppet-of-nobody', puppetOptions: {}, name: 'siyu' }
    const loading = loadWechaty(settings)
    await expect(loading).rejects.toBeInstanceOf(ConfigError)
    await expect(loading).rejects.toThrow(/wechaty\.puppet: .*wechaty-puppet-of-nobody.*npm install/s)
  })

  it('builds a bot on an installed puppet', async () => {
    const build = await loadWechaty({
      module: 'wechaty',
      puppet: 'wechaty-puppet-mock',
      puppetOptions: {},
      name: 'siyu',
    })
    expect(build().start).toBeInstanceOf(Function)
  })
})
