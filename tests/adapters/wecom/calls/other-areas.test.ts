import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { ProductFields } from '../../../../src/adapters/wecom/calls/album.js'
import type { InterceptRule } from '../../../../src/adapters/wecom/calls/intercept.js'
import type { WebhookMessage } from '../../../../src/adapters/wecom/calls/webhook.js'
import { InvalidInputError, messageOf } from '../../../../src/errors.js'
import { DAY_MS } from '../../../../src/time.js'
import { PNG, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

const KEY = '6b1c5a4e-0000-4000-8000-000000000001'
let stand: Stand
const at = (ms: number) => new Date(START.getTime() + ms)
beforeEach(async () => {
  stand = await openStand({
    webhooks: [{ name: '店长群', key: KEY }, { name: '二群' }],
    archive: { members: [{ userId: 'g1' }, { userId: 'g2', edition: 2 }] },
  })
})
afterEach(() => stand.close())

describe('app chats', () => {
  const text = (content: string) => ({ msgtype: 'text', text: { content } }) as const

  it('are made, spoken in, changed and read', async () => {
    const { appChat } = stand.client
    const id = await appChat.create({ name: '早会', owner: 'g1', userIds: ['g1', 'g2'] })
    await appChat.send(id, text('早'))
    await appChat.update(id, { name: '晨会', addUserIds: ['g3'], removeUserIds: ['g2'] })
    expect(await appChat.get(id)).toEqual({ chatId: id, name: '晨会', owner: 'g1', userIds: ['g1', 'g3'] })
  })

  it('are refused to others, doubled, too small, or with strangers', async () => {
    const { client, other } = stand
    await client.appChat.create({ chatId: 'morning', userIds: ['g1', 'g2'] })
    expect(await codeOf(client.appChat.create({ chatId: 'morning', userIds: ['g1', 'g2'] }))).toBe(86215)
    expect(await codeOf(other.appChat.send('morning', text('x')))).toBe(86008)
    expect(await codeOf(client.appChat.send('evening', text('x')))).toBe(40050)
    expect(await codeOf(client.appChat.create({ userIds: ['g1', 'nobody'] }))).toBe(86007)
    expect(await codeOf(client.appChat.create({ userIds: ['g1', 'G1'] }))).toBe(86006) // one and the same
    expect(await codeOf(client.appChat.create({ owner: 'g3', userIds: ['g1', 'g2'] }))).toBe(86005)
    expect(await codeOf(client.appChat.update('morning', { removeUserIds: ['g2'] }))).toBe(86006)
    await expect(client.appChat.create({ userIds: ['g1'] })).rejects.toThrow(InvalidInputError)
    await expect(client.appChat.create({ chatId: 'a'.repeat(33), userIds: ['g1', 'g2'] })).rejects.toThrow(/1–32/)
  })

  it('are for apps that see the whole company', async () => {
    await stand.close()
    stand = await openStand({ apps: [{ name: 'siyu', visible: { members: ['g1', 'g2'] } }] })
    expect(await codeOf(stand.client.appChat.create({ userIds: ['g1', 'g2'] }))).toBe(60011)
  })

  it('reach each member at most 200 times a minute', async () => {
    const { appChat } = stand.client
    const id = await appChat.create({ userIds: ['g1', 'g2'] })
    for (let n = 0; n < 201; n++) await appChat.send(id, text(`${n}`))
    const { items } = await objects<{ to: string[] }>('appchat_message')
    expect(items.filter(({ body }) => body.to.length === 2)).toHaveLength(200)
    expect(items.at(-1)?.body.to).toEqual([])
  })
})

describe('the product album', () => {
  const product = async (): Promise<ProductFields> => ({
    description: '面膜',
    priceMinor: 9_900,
    sku: 'SKU1',
    mediaIds: [await stand.client.media.uploadAttachment('album', 'image', 'a.png', PNG)],
  })

  it('is filled, read, changed and emptied by the app that filled it', async () => {
    const { album } = stand.client
    const fields = await product()
    const id = await album.add(fields)
    expect(await album.get(id)).toEqual({ ...fields, productId: id, createdAt: START })
    await album.update(id, { priceMinor: 5_000 })
    expect(await all(album.list())).toEqual([{ ...fields, priceMinor: 5_000, productId: id, createdAt: START }])
    expect(await codeOf(stand.other.album.remove(id))).toBe(48002)
    await album.remove(id)
    expect(await codeOf(album.get(id))).toBe(41075)
  })

  it('is listed over pages of 100', async () => {
    const fields = await product()
    for (let n = 0; n < 101; n++) await stand.client.album.add({ ...fields, sku: `S${n}` })
    expect((await all(stand.client.album.list())).map((p) => p.sku)).toHaveLength(101)
  })

  it.each<[string, Partial<ProductFields>, boolean]>([
    ['300 characters', { description: '字'.repeat(300) }, true],
    ['301 characters', { description: '字'.repeat(301) }, false],
    ['a price of 5,000,000', { priceMinor: 5_000_000 }, true],
    ['a price above', { priceMinor: 5_000_001 }, false],
    ['a number with a dash', { sku: 'A-1' }, false],
    ['no picture', { mediaIds: [] }, false],
  ])('with %s: %s', async (_name, change, taken) => {
    const added = stand.client.album.add({ ...(await product()), ...change })
    if (taken) await expect(added).resolves.toMatch(/^[0-9a-f]{32}$/)
    else await expect(added).rejects.toThrow(InvalidInputError)
  })

  it('takes only pictures that were uploaded for it', async () => {
    const mediaIds = [await stand.client.media.upload('image', 'a.png', PNG)]
    expect(await codeOf(stand.client.album.add({ ...(await product()), mediaIds }))).toBe(40007)
  })
})

describe('words to intercept', () => {
  const rule: InterceptRule = {
    name: '红包',
    words: ['发红包', '返现'],
    semantics: ['phone', 'red_packet'],
    does: 'block',
    range: { userIds: ['g1'], departmentIds: [] },
  }

  it('are added, read, changed and deleted', async () => {
    const { intercept } = stand.client
    const id = await intercept.add(rule)
    expect(await intercept.get(id)).toEqual(rule)
    expect(await intercept.list()).toEqual([{ ruleId: id, name: '红包', createdAt: START }])
    await intercept.update(id, { does: 'warn', semantics: [], addRange: { userIds: ['g2'] }, removeRange: { userIds: ['g1'] } })
    expect(await intercept.get(id)).toMatchObject({ does: 'warn', semantics: [], words: rule.words, range: { userIds: ['g2'] } })
    await intercept.remove(id)
    expect(await codeOf(intercept.get(id))).toBe(41070)
  }) // prettier-ignore

  it('are at most 100 rules, each with a name of its own', async () => {
    const { intercept } = stand.client
    await intercept.add(rule)
    expect(await codeOf(intercept.add(rule))).toBe(41077)
    for (let n = 1; n < 100; n++) await intercept.add({ ...rule, name: `规则 ${n}` })
    expect(await codeOf(intercept.add({ ...rule, name: '多了' }))).toBe(41069)
  })

  it.each<[string, Partial<InterceptRule>, boolean]>([
    ['20 characters of a name', { name: '名'.repeat(20) }, true],
    ['21 characters of a name', { name: '名'.repeat(21) }, false],
    ['300 words', { words: Array.from({ length: 300 }, (_, i) => `w${i}`) }, true],
    ['301 words', { words: Array.from({ length: 301 }, (_, i) => `w${i}`) }, false],
    ['a word of 32 characters', { words: ['字'.repeat(32)] }, true],
    ['a word of 33 characters', { words: ['字'.repeat(33)] }, false],
    ['nobody to hold to it', { range: {} }, false],
  ])('with %s: %s', async (_name, change, taken) => {
    const added = stand.client.intercept.add({ ...rule, ...change })
    if (taken) await expect(added).resolves.toMatch(/^[0-9a-f]{32}$/)
    else await expect(added).rejects.toThrow(InvalidInputError)
  })
})

describe('the archive', () => {
  it('tells whose chats are kept, by edition', async () => {
    const { archive } = stand.client
    expect(await archive.members()).toEqual(['g1', 'g2'])
    expect(await archive.members('service')).toEqual(['g2'])
  })

  it('tells who agreed, for up to 100 pairs', async () => {
    const { archive } = stand.client
    const pairs = ['wmc1', 'wmc2'].map((externalUserId) => ({ userId: 'g1', externalUserId }))
    const consents = await archive.consents(pairs)
    expect(consents.map((c) => [c.userId, c.externalUserId])).toEqual([['g1', 'wmc1'], ['g1', 'wmc2']]) // prettier-ignore
    expect(consents.every((c) => ['agreed', 'refused', 'default'].includes(c.consent))).toBe(true)
    expect(await archive.consents(pairs)).toEqual(consents)
    expect(await codeOf(archive.consents([{ userId: 'g3', externalUserId: 'wmc1' }]))).toBe(301061)
    await expect(archive.consents(Array.from({ length: 101 }, () => pairs[0]!))).rejects.toThrow(InvalidInputError)
  })

  it('tells the consents of a group, and about groups without customers', async () => {
    const { archive } = stand.client
    const group = (members: object[]) => stand.control<{ chatId: string }>('groups', { owner: 'g1', name: '群', members })
    const mixed = await group([{ id: 'wmc1' }])
    expect((await archive.groupConsents(mixed.chatId)).map((c) => c.externalUserId)).toEqual(['wmc1'])
    expect(await codeOf(archive.group(mixed.chatId))).toBe(301059)
    const inside = await group([{ id: 'g2', type: 1 }])
    expect(await archive.group(inside.chatId)).toMatchObject({ name: '群', creator: 'g1', members: [{ userId: 'g1' }, { userId: 'g2' }] })
  }) // prettier-ignore

  it('is not there where nobody is archived', async () => {
    await stand.close()
    stand = await openStand()
    expect(await codeOf(stand.client.archive.members())).toBe(301053)
  })
})

describe('payments', () => {
  it('are listed by time and payee, as far as the app sees', async () => {
    const pay = (userId: string, amountFen: number) =>
      stand.control<{ transactionId: string }>('bills/pay', { externalUserId: 'wmc1', userId, amountFen, mchId: '19000001' })
    const first = await pay('g1', 9_900)
    await stand.advanceDays(1)
    await pay('g2', 100)
    const { payments } = stand.client
    const bills = await all(payments.bills(START, at(2 * DAY_MS)))
    expect(bills).toMatchObject([
      { transactionId: first.transactionId, paidAt: START, amountMinor: 9_900, refundedMinor: 0, userId: 'g1', externalUserId: 'wmc1', merchantId: '19000001' },
      { userId: 'g2' },
    ])
    expect(await all(payments.bills(START, at(2 * DAY_MS), 'g2'))).toHaveLength(1)
    expect(await all(payments.bills(START, at(1_000)))).toHaveLength(1)
    expect(await codeOf(all(payments.bills(START, at(31 * DAY_MS))))).toBeUndefined()
    expect(await codeOf(all(payments.bills(START, at(32 * DAY_MS))))).toBe(40058)
  }) // prettier-ignore

  it('run over merchants whose users are set', async () => {
    const { payments } = stand.client
    expect(await codeOf(payments.merchant('19000001'))).toBe(40058)
    await payments.addMerchant('19000001', '旗舰店')
    const scope = { userIds: ['g1'], departmentIds: [1], tagIds: [] }
    await payments.setMerchantScope('19000001', scope)
    expect(await payments.merchant('19000001')).toEqual({ merchantId: '19000001', name: '旗舰店', scope })
    await payments.removeMerchant('19000001')
    expect(await codeOf(payments.merchant('19000001'))).toBe(40058)
  })
})

describe('group webhooks', () => {
  const url = 'https://m.example.com'
  const messages: WebhookMessage[] = [
    { msgtype: 'text', text: { content: '开会', mentioned_list: ['@all'] } },
    { msgtype: 'markdown', markdown: { content: '**会**' } },
    { msgtype: 'markdown_v2', markdown_v2: { content: '- 一\n- 二' } },
    { msgtype: 'image', image: { base64: Buffer.from(PNG).toString('base64'), md5: createHash('md5').update(PNG).digest('hex') } },
    { msgtype: 'news', news: { articles: [{ title: 't', url }] } },
    { msgtype: 'template_card', template_card: { card_type: 'text_notice', main_title: { title: 't' }, card_action: { type: 1, url } } },
  ] // prettier-ignore

  it('take every kind, and files that were uploaded with the same key', async () => {
    const { webhook } = stand.client
    for (const message of messages) await webhook.send(KEY, message)
    const media_id = await webhook.upload(KEY, 'file', 'a.txt', Uint8Array.from(Buffer.from('0123456789')))
    await webhook.send(KEY, { msgtype: 'file', file: { media_id } })
    const { items } = await objects<{ webhook: string; msgtype: string }>('webhook_message')
    expect(items.map(({ body }) => [body.webhook, body.msgtype])).toEqual(
      [...messages, { msgtype: 'file' }].map((m) => ['店长群', m.msgtype]),
    )
    const second = await keyOf('二群')
    expect(await codeOf(webhook.send(second, { msgtype: 'file', file: { media_id } }))).toBe(40007)
    const temporary = await stand.client.media.upload('file', 'a.txt', Uint8Array.from(Buffer.from('0123456789')))
    expect(await codeOf(webhook.send(KEY, { msgtype: 'file', file: { media_id: temporary } }))).toBe(40007)
  })

  it('never show their key', async () => {
    const wrong = '6b1c5a4e-0000-4000-8000-00000000dead'
    const refused = await stand.client.webhook.send(wrong, messages[0]!).catch((err: unknown) => err)
    expect(await codeOf(stand.client.webhook.send(wrong, messages[0]!))).toBe(93000)
    stand.sandbox.fault({ path: '/cgi-bin/webhook/send', kind: 'lost_reply' })
    const lost = await stand.client.webhook.send(KEY, messages[0]!).catch((err: unknown) => err)
    for (const [err, key] of [[refused, wrong], [lost, KEY]] as const) {
      expect(err).toBeInstanceOf(Error)
      expect(messageOf(err) + String((err as Error).stack) + JSON.stringify(err)).not.toContain(key)
    } // prettier-ignore
  })

  it('take 20 messages a minute for each key', async () => {
    const send = async (key: string) => {
      const body = JSON.stringify(messages[0])
      const answer = await fetch(`${stand.sandbox.url}/cgi-bin/webhook/send?key=${key}`, { method: 'POST', body })
      return ((await answer.json()) as { errcode: number }).errcode
    }
    for (let n = 0; n < 20; n++) expect(await send(KEY)).toBe(0)
    expect(await send(KEY)).toBe(45009)
    expect(await send(await keyOf('二群'))).toBe(0)
    await stand.sandbox.advanceTo(at(60_000))
    expect(await send(KEY)).toBe(0)
  })

  it.each([
    [2048, 2_048, 0],
    [2048, 2_049, 40058],
    [5120, 5_120, 0],
    [5120, 5_121, 40058],
  ] as const)('with texts of %d bytes: %d bytes are %d', async (webhookTextBytes, bytes, code) => {
    await stand.close()
    stand = await openStand({ webhooks: [{ name: '群', key: KEY }], behaviour: { webhookTextBytes } })
    const body = JSON.stringify({ msgtype: 'text', text: { content: 'a'.repeat(bytes) } })
    const answer = await fetch(`${stand.sandbox.url}/cgi-bin/webhook/send?key=${KEY}`, { method: 'POST', body })
    expect(((await answer.json()) as { errcode: number }).errcode).toBe(code)
  })

  it.each<[string, WebhookMessage]>([
    ['2,049 bytes of text', { msgtype: 'text', text: { content: 'a'.repeat(2_049) } }],
    ['4,097 bytes of markdown', { msgtype: 'markdown', markdown: { content: 'a'.repeat(4_097) } }],
    ['9 articles', { msgtype: 'news', news: { articles: Array.from({ length: 9 }, () => ({ title: 't', url })) } }],
  ])('with %s are refused before they are sent', async (_name, message) => {
    await expect(stand.client.webhook.send(KEY, message)).rejects.toThrow(InvalidInputError)
  })

  async function keyOf(name: string): Promise<string> {
    const { webhooks } = await view<{ webhooks: { name: string; key: string }[] }>('webhooks')
    return webhooks.find((w) => w.name === name)!.key
  }
})

async function view<T>(path: string): Promise<T> {
  const headers = { Authorization: `Bearer ${stand.sandbox.controlKey}` }
  return (await (await fetch(`${stand.sandbox.url}/control/${path}`, { headers })).json()) as T
}
const objects = <T>(kind: string) => view<{ items: { id: string; body: T }[] }>(`objects?kind=${kind}`)
