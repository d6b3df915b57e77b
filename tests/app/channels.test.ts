import { openChannels } from '../../src/app/channels.js'
import { type CarrierName, channelsBy } from '../../src/domain/touches/channels.js'
import type { Dispatch, DispatchOutcome } from '../../src/ports/channel.js'
import { DAY_MS, ManualClock } from '../../src/time.js'
import { all, openStand, type Stand } from '../adapters/wecom/stand.js'
import { channelContract, type ChannelStand } from '../contracts/channel.js'
import { START } from '../sandbox/support.js'
import { FakeChannel } from '../support/fake-channel.js'

const content = {
  text: '本周新品',
  link: { title: '新品手册', url: 'https://m.example.com/look?m=d-1' },
  card: { title: '私聊提醒', rows: [{ name: '客户', value: '客户 001' }], buttons: [{ key: 'done', text: '已联系' }] },
}
const common = { id: 'd-1', content, createdAt: START }

/** What each sends, by which API, and what the platform then has. A channel without its entry does not compile. */
const real: { [K in CarrierName]: { path: string; dispatch: Dispatch; arrived: (stand: Stand) => Promise<number> } } = {
  wecom: {
    path: '/cgi-bin/externalcontact/add_msg_template',
    dispatch: { ...common, sender: 'g1', recipients: ['wmc1', 'wmc2'].map((to) => ({ touchId: to, to })) },
    arrived: async ({ client }) =>
      (await all(client.mass.list(START, new Date(START.getTime() + DAY_MS)))).flat().length,
  },
  task: {
    path: '/cgi-bin/message/send',
    dispatch: { ...common, recipients: [{ touchId: 't1', to: 'g1' }] },
    arrived: ({ sandbox }) => Promise.resolve(sandbox.counts().cards),
  },
}

async function openReal(name: CarrierName, given?: Dispatch): Promise<ChannelStand> {
  const stand = await openStand()
  const { path, dispatch, arrived } = real[name]
  const faults = {
    lost: { kind: 'lost_reply' },
    // A proxy answers in the platform's place.
    unreached: { kind: 'html' },
    refused: { kind: 'errcode', errcode: 40058 },
    // A person must act first: asking at once again would be in vain.
    later: { kind: 'errcode', errcode: 48002 },
  } as const
  return {
    channel: openChannels({ client: stand.client, clock: stand.sandbox, pause: () => Promise.resolve() })[name],
    dispatch: given ?? dispatch,
    arrived: () => arrived(stand),
    next: (fate) => stand.sandbox.fault({ ...faults[fate], path }),
    close: () => stand.close(),
  }
}

function openFake(name: CarrierName): Promise<ChannelStand> {
  const channel = new FakeChannel(name, new ManualClock(START))
  const usual = channel.answer
  const fates: Record<string, DispatchOutcome> = {
    lost: { kind: 'unknown', reason: 'no answer' },
    unreached: { kind: 'unknown', reason: 'no answer' },
    refused: { kind: 'refused', reason: 'no', message: 'no' },
    later: { kind: 'later', afterMs: 1_000, reason: 'busy' },
  }
  return Promise.resolve({
    channel,
    dispatch: real[name].dispatch,
    arrived: () => Promise.resolve(channel.sent.length),
    next: (fate) => {
      channel.unknownArrives = fate === 'lost'
      channel.answer = () => {
        channel.answer = usual
        return fates[fate]!
      }
    },
    close: () => Promise.resolve(),
  })
}

channelsBy((name) => {
  channelContract(name, `${name}, over the sandbox,`, () => openReal(name))
  channelContract(name, `the fake ${name}`, () => openFake(name))
})

// Words bear no mark: what became of them is found out another way.
channelContract('wecom', 'wecom without a link, over the sandbox,', () =>
  openReal('wecom', { ...real.wecom.dispatch, content: { text: content.text } }),
)
