import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { InvalidInputError } from '../../../../src/errors.js'
import { PNG, START } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand
beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

/** A customer adds g1; the code comes with the callback. */
async function codeOfNewcomer(externalUserId: string): Promise<string> {
  await stand.control('contacts/add', { userId: 'g1', externalUserId })
  const events = stand.events('change_external_contact').filter((e) => e['ExternalUserID'] === externalUserId)
  return String(events[0]?.['WelcomeCode'])
}

describe('welcome messages', () => {
  it('reach the newcomer once, with attachments', async () => {
    const { welcome, media } = stand.client
    const code = await codeOfNewcomer('wmNew')
    const media_id = await media.upload('image', 'a.png', PNG)
    await welcome.send(code, '欢迎', [{ msgtype: 'image', image: { media_id } }])
    expect(stand.sandbox.log()).toMatchObject([{ kind: 'welcome', externalUserId: 'wmNew', text: '欢迎' }])
    expect(await codeOf(welcome.send(code, '欢迎'))).toBe(41051)
    expect(stand.sandbox.log()).toHaveLength(1)
  })

  it.each([
    [20_000, undefined],
    [21_000, 41050],
  ])('%d ms after the event: code %s', async (afterMs, code) => {
    const welcomeCode = await codeOfNewcomer('wmNew')
    await stand.sandbox.advanceTo(new Date(START.getTime() + afterMs))
    expect(await codeOf(stand.client.welcome.send(welcomeCode, '欢迎'))).toBe(code)
  })

  it('of two apps: the second is told that another is on its way, and later that it was delivered', async () => {
    const code = await codeOfNewcomer('wmNew')
    await stand.client.welcome.send(code, '欢迎')
    expect(await codeOf(stand.other.welcome.send(code, '你好'))).toBe(41096)
    await stand.sandbox.advanceTo(new Date(START.getTime() + 1_000))
    expect(await codeOf(stand.other.welcome.send(code, '你好'))).toBe(41051)
    expect(stand.sandbox.log()).toHaveLength(1)
  })

  it('have no code when the member has never signed in', async () => {
    await stand.close()
    stand = await openStand({ members: [{ userId: 'g1', name: '导购 001', isActivated: false }], contacts: [] })
    await stand.control('contacts/add', { userId: 'g1', externalUserId: 'wmNew' })
    const [event] = stand.events('change_external_contact')
    expect(event).toMatchObject({ ChangeType: 'add_external_contact', ExternalUserID: 'wmNew' })
    expect(event).not.toHaveProperty('WelcomeCode')
  })

  it('are refused with a code that is not there, and with nothing to say', async () => {
    expect(await codeOf(stand.client.welcome.send('nonsense', '欢迎'))).toBe(41050)
    await expect(stand.client.welcome.send('code', '')).rejects.toThrow(InvalidInputError)
    await expect(stand.client.welcome.send('code', 'a'.repeat(4_001))).rejects.toThrow(/at most 4000 bytes/)
  })
})

describe('templates for groups', () => {
  const link = { msgtype: 'link', link: { title: '手册', url: 'https://m.example.com' } } as const

  it('are added, read, changed and deleted by the app that made them', async () => {
    const { client, other } = stand
    const id = await client.welcome.addTemplate({ text: '%NICKNAME%，欢迎', attachment: link })
    expect(await client.welcome.template(id)).toMatchObject({
      text: { content: '%NICKNAME%，欢迎' },
      link: { title: '手册', url: 'https://m.example.com' },
    })
    expect(await codeOf(other.welcome.editTemplate(id, { text: '好' }))).toBe(41058)
    expect(await codeOf(other.welcome.deleteTemplate(id))).toBe(41058)
    await client.welcome.editTemplate(id, { text: '好' })
    expect((await client.welcome.template(id)).link).toBeUndefined()
    await client.welcome.deleteTemplate(id)
    expect(await codeOf(client.welcome.template(id))).toBe(40058)
  })

  it('are at most 100 in the company', async () => {
    const { welcome } = stand.client
    const ids = []
    for (let n = 0; n < 100; n++) ids.push(await welcome.addTemplate({ text: `欢迎 ${n}` }))
    expect(await codeOf(welcome.addTemplate({ text: '多了' }))).toBe(41055)
    await welcome.deleteTemplate(ids[0]!)
    expect(await codeOf(welcome.addTemplate({ text: '又好' }))).toBeUndefined()
  })

  it('hold a text of 3,000 bytes and not one more, and never nothing', async () => {
    const { welcome } = stand.client
    await expect(welcome.addTemplate({ text: 'a'.repeat(3_000) })).resolves.toMatch(/^msg/)
    await expect(welcome.addTemplate({ text: 'a'.repeat(3_001) })).rejects.toThrow(InvalidInputError)
    await expect(welcome.addTemplate({})).rejects.toThrow(InvalidInputError)
  })
})
