import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { KfContent, KfItem } from '../../../../src/adapters/wecom/calls/kf.js'
import { InvalidInputError } from '../../../../src/errors.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../src/time.js'
import { PNG, START } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand
let kfId: string
const text = (content: string) => ({ msgtype: 'text', text: { content } }) as const
const at = (ms: number) => new Date(START.getTime() + ms)
const visit = (words?: string, more: object = {}) =>
  stand.control('kf/visit', { openKfId: kfId, externalUserId: 'wmc1', ...(words && { text: words }), ...more })
async function items(cursor?: string, token?: string): Promise<{ items: KfItem[]; cursor: string | undefined }> {
  const found: KfItem[] = []
  let last = cursor
  for await (const page of stand.client.kf.sync(kfId, cursor, token)) {
    found.push(...page.items)
    last = page.cursor
  }
  return { items: found, cursor: last }
}

beforeEach(async () => {
  stand = await openStand()
  kfId = await stand.client.kf.addAccount('小助手', await stand.client.media.upload('image', 'a.png', PNG))
})
afterEach(() => stand.close())

describe('customer-service accounts', () => {
  it('are listed, renamed, given an address and deleted', async () => {
    const { kf } = stand.client
    expect(await kf.accounts()).toEqual([{ openKfId: kfId, name: '小助手' }])
    await kf.updateAccount(kfId, { name: '客服' })
    expect((await kf.accounts())[0]?.name).toBe('客服')
    const plain = await kf.contactUrl(kfId)
    expect(plain).toMatch(/^https:\/\/work\.weixin\.qq\.com\/kfid\/kfc/)
    expect(await kf.contactUrl(kfId, 'shop-1')).toBe(`${plain}?enc_scene=shop-1`)
    await kf.removeAccount(kfId)
    expect(await kf.accounts()).toEqual([])
    expect(await codeOf(kf.contactUrl(kfId))).toBe(95004)
    expect(await codeOf(kf.contactUrl('nonsense'))).toBe(95000)
    await expect(kf.addAccount('x'.repeat(17), 'm')).rejects.toThrow(InvalidInputError)
  })

  it('have servicers: members and departments, each told apart when it does not work', async () => {
    const { kf } = stand.client
    expect(await kf.addServicers(kfId, { userIds: ['g1', 'nobody'], departmentIds: [1, 9] })).toEqual([
      { userId: 'nobody', errcode: 60111 },
      { departmentId: 9, errcode: 60123 },
    ])
    expect(await kf.servicers(kfId)).toEqual({ userIds: ['g1'], departmentIds: [1] })
    expect(await kf.removeServicers(kfId, { userIds: ['g1', 'g2'] })).toEqual([{ userId: 'g2', errcode: 95014 }])
    await expect(kf.addServicers(kfId, {})).rejects.toThrow(InvalidInputError)
  })
})

describe('what customers write', () => {
  it('is fetched after a callback, once, in order', async () => {
    await visit(undefined, { scene: 'shop-1' })
    await visit('在吗')
    const [first, second] = stand.events('kf_msg_or_event')
    expect(second).toMatchObject({ OpenKfId: kfId })
    const { items: found, cursor } = await items(undefined, String(first!['Token']))
    expect(found.map((item) => [item.origin, item.msgtype, item.external_userid])).toEqual([
      [4, 'event', 'wmc1'],
      [3, 'text', 'wmc1'],
    ])
    expect(found[0]?.event).toMatchObject({ event_type: 'enter_session', scene: 'shop-1' })
    expect(found[1]?.text?.content).toBe('在吗')
    await visit('请问')
    expect((await items(cursor)).items.map((item) => item.text?.content)).toEqual(['请问'])
    expect(await codeOf(items('nonsense'))).toBe(50100)
  })

  it.each([
    [10 * MINUTE_MS, undefined],
    [10 * MINUTE_MS + 1_000, 95007],
  ])('is had with a token that is %d ms old: code %s', async (ageMs, code) => {
    await visit('在吗')
    const token = String(stand.events('kf_msg_or_event')[0]!['Token'])
    await stand.sandbox.advanceTo(at(ageMs))
    expect(await codeOf(items(undefined, token))).toBe(code)
    expect(await codeOf(items(undefined, 'ENCforged'))).toBe(95007)
  })

  it('is kept for three days', async () => {
    await visit('在吗')
    await stand.sandbox.advanceTo(at(3 * DAY_MS))
    expect((await items()).items).toEqual([])
  })

  it('comes from people who can be looked up', async () => {
    await visit('在吗', { nickname: '顾客 0042', unionId: 'ou42', scene: 's' })
    const { customers, invalid } = await stand.client.kf.customers(['wmc1', 'wmNobody'])
    expect(customers).toMatchObject([
      { external_userid: 'wmc1', nickname: '顾客 0042', unionid: 'ou42', enter_session_context: { scene: 's' } },
    ])
    expect(invalid).toEqual(['wmNobody'])
    const many = Array.from({ length: 101 }, (_, i) => `wm${i}`)
    await expect(stand.client.kf.customers(many)).rejects.toThrow(InvalidInputError)
  })
})

describe('answers', () => {
  it('are at most 5 until the customer writes again', async () => {
    const { kf } = stand.client
    await visit('在吗')
    for (let n = 0; n < 5; n++) await kf.send(kfId, 'wmc1', text(`第 ${n}`))
    expect(await codeOf(kf.send(kfId, 'wmc1', text('第 5')))).toBe(95001)
    await visit('好的')
    expect(await codeOf(kf.send(kfId, 'wmc1', text('谢谢')))).toBeUndefined()
  })

  it.each([
    [48 * HOUR_MS, undefined],
    [48 * HOUR_MS + 1_000, 95002],
  ])('%d ms after the last message: code %s', async (afterMs, code) => {
    await visit('在吗')
    await stand.sandbox.advanceTo(at(afterMs))
    expect(await codeOf(stand.client.kf.send(kfId, 'wmc1', text('好')))).toBe(code)
  })

  it('need a message of the customer first, and a session', async () => {
    await visit()
    expect(await codeOf(stand.client.kf.send(kfId, 'wmc1', text('好')))).toBe(95002)
    expect(await codeOf(stand.client.kf.send(kfId, 'wmNobody', text('好')))).toBe(40096)
  })

  it('of every kind are taken; a msgid that was used is not', async () => {
    const { kf, media } = stand.client
    const media_id = await media.upload('image', 'a.png', PNG)
    const url = 'https://m.example.com'
    const contents: KfContent[] = [
      text('好'),
      { msgtype: 'image', image: { media_id } },
      { msgtype: 'link', link: { title: 't', url, thumb_media_id: media_id } },
      { msgtype: 'miniprogram', miniprogram: { appid: 'wx1', thumb_media_id: media_id, pagepath: 'p.html' } },
      {
        msgtype: 'msgmenu',
        msgmenu: { head_content: '满意吗', list: [{ type: 'click', click: { id: '1', content: '满意' } }] },
      },
      { msgtype: 'location', location: { latitude: 31.2, longitude: 121.4 } },
      { msgtype: 'business_card', business_card: { userid: 'g1' } },
      { msgtype: 'ca_link', ca_link: { link_url: url } },
    ]
    for (const content of contents) {
      await visit('再来')
      expect(await codeOf(kf.send(kfId, 'wmc1', content))).toBeUndefined()
    }
    expect(await kf.send(kfId, 'wmc1', text('一次'), 'once')).toBe('once')
    expect(await codeOf(kf.send(kfId, 'wmc1', text('一次'), 'once'))).toBe(40058)
  })

  it('to an entering customer use the welcome code, once, within 20 s', async () => {
    const { kf } = stand.client
    await visit()
    const code = (await items()).items[0]?.event?.welcome_code
    await kf.sendOnEvent(code!, text('欢迎'))
    expect(await codeOf(kf.sendOnEvent(code!, text('欢迎')))).toBe(95007)
    await visit(undefined, { externalUserId: 'wmc2' })
    const late = (await items()).items.at(-1)?.event?.welcome_code
    await stand.sandbox.advanceTo(at(21_000))
    expect(await codeOf(kf.sendOnEvent(late!, text('欢迎')))).toBe(95007)
  })
})

describe('sessions', () => {
  it('go from untouched over bot and human to their end, and back when the customer returns', async () => {
    const { kf } = stand.client
    await kf.addServicers(kfId, { userIds: ['g1'] })
    await visit('在吗')
    expect(await kf.state(kfId, 'wmc1')).toEqual({ state: 'untouched' })
    await kf.changeState(kfId, 'wmc1', 'bot')
    expect(await codeOf(kf.send(kfId, 'wmc1', text('我是助手')))).toBeUndefined()
    expect(await codeOf(kf.changeState(kfId, 'wmc1', 'human', 'g2'))).toBe(95014)
    const code = await kf.changeState(kfId, 'wmc1', 'human', 'g1')
    expect(await kf.state(kfId, 'wmc1')).toEqual({ state: 'human', servicerId: 'g1' })
    await kf.sendOnEvent(code!, text('人工为您服务'))
    expect(await codeOf(kf.send(kfId, 'wmc1', text('插话')))).toBe(95018)
    expect(await codeOf(kf.changeState(kfId, 'wmc1', 'bot'))).toBe(95016)
    await kf.changeState(kfId, 'wmc1', 'ended')
    expect(await codeOf(kf.send(kfId, 'wmc1', text('还在吗')))).toBe(95013)
    expect(await codeOf(kf.changeState(kfId, 'wmc1', 'queue'))).toBe(95013)
    await visit('又来了')
    expect(await kf.state(kfId, 'wmc1')).toEqual({ state: 'untouched' })
  })
})
