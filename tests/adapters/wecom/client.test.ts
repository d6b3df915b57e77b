import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type AxiosAdapter, AxiosError } from 'axios'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { WecomError } from '../../../src/adapters/wecom/transport/error-codes.js'
import { UnknownOutcomeError, UpstreamError } from '../../../src/errors.js'
import { jsonLog } from '../../../src/log.js'
import { ManualClock } from '../../../src/time.js'
import { openWecomStub, type StubAnswer, type WecomStub } from '../../support/wecom-stub.js'

const SECRET = 'secret-nobody-may-see'
const CREATED = { msgid: 'msg1', fail_list: [] }

let stub: WecomStub
let client: WecomClient
let clock: ManualClock
let pauses: number[]
let lines: string[]

function openClient(baseUrl = stub.url, adapter?: AxiosAdapter): WecomClient {
  return createWecomClient({
    baseUrl,
    corpId: 'ww0000000000000001',
    agentId: 1000002,
    secret: SECRET,
    clock,
    timeoutSignal: () => stub.timeoutSignal(),
    log: jsonLog((line) => lines.push(line)),
    ...(adapter && { adapter }),
    pause: async (ms) => {
      pauses.push(ms)
      clock.set(new Date(clock.now().getTime() + ms))
    },
  })
}

beforeEach(async () => {
  stub = await openWecomStub()
  clock = new ManualClock(new Date('2026-08-03T02:00:00Z'))
  pauses = []
  lines = []
  client = openClient()
})

afterEach(async () => {
  client.close()
  await stub.close()
})

const message = { sender: 'guide01', externalUserIds: ['wm1'], text: '新品', attachments: [] }

async function thrownBy(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (err) {
    if (err instanceof Error) return err
  }
  throw new Error('nothing was thrown')
}

describe('tokens', () => {
  it('fetches one token however many callers wait for it', async () => {
    stub.on('externalcontact/get_follow_user_list', { follow_user: ['guide01'] })
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.contacts.followUsers()))
    expect(answers).toEqual(Array.from({ length: 10 }, () => ['guide01']))
    expect(stub.tokenCalls).toBe(1)
  })

  it('refreshes a stale token once for ten callers and repeats each call once', async () => {
    stub.on('externalcontact/get_follow_user_list', { follow_user: ['guide01'] })
    await client.contacts.followUsers()
    stub.token = 'token-2'
    await Promise.all(Array.from({ length: 10 }, () => client.contacts.followUsers()))
    expect(stub.tokenCalls).toBe(2)
    expect(stub.calls.filter((call) => call.token === 'token-2')).toHaveLength(10)
  })

  it.each([40014, 42001, 40001])('repeats a call with an effect after %i, as it was not applied', async (errcode) => {
    stub.on('externalcontact/add_msg_template', { errcode, errmsg: 'token' }, CREATED)
    await expect(client.mass.create(message)).resolves.toEqual({ msgId: 'msg1', failed: [] })
    expect(stub.calls).toHaveLength(2)
  })

  it('gives up when the new token is refused as well', async () => {
    stub.on('externalcontact/get_follow_user_list', { errcode: 40014, errmsg: 'invalid access_token' })
    const err = await thrownBy(client.contacts.followUsers())
    expect(err).toMatchObject({ upstreamCode: '40014', retryable: false })
    expect(stub.calls).toHaveLength(2)
  })

  it('fetches a new token when the old one is used up', async () => {
    stub.on('externalcontact/get_follow_user_list', { follow_user: [] })
    await client.contacts.followUsers()
    clock.set(new Date(clock.now().getTime() + 7_199_000))
    await client.contacts.followUsers()
    expect(stub.tokenCalls).toBe(1)
    clock.set(new Date(clock.now().getTime() + 1_000))
    await client.contacts.followUsers()
    expect(stub.tokenCalls).toBe(2)
  })

  it('asks a person about a wrong secret and does not try it again within a minute', async () => {
    stub.on('gettoken', { errcode: 40001, errmsg: `invalid credential ${SECRET}, hint: [1], from ip: 203.0.113.9` })
    const err = await thrownBy(client.contacts.followUsers())
    expect(err).toMatchObject({ meaning: 'tell_a_person', retryable: false })
    expect(err.message).toContain('Secret')
    await thrownBy(client.contacts.followUsers())
    expect(stub.tokenCalls).toBe(1)
    clock.set(new Date(clock.now().getTime() + 60_000))
    await thrownBy(client.contacts.followUsers())
    expect(stub.tokenCalls).toBe(2)
  })
})

describe('a call whose caller may be too late', () => {
  const MASS = 'externalcontact/add_msg_template'
  let late: boolean
  const goesBy = (answer: StubAnswer) => () => {
    late = true
    return answer
  }
  beforeEach(() => {
    late = false
  })

  it.each<[string, string, StubAnswer, number]>([
    ['its token is fetched', 'gettoken', { errcode: 0, access_token: 'token-1', expires_in: 7200 }, 0],
    ['a stale token is renewed', MASS, { errcode: 42001, errmsg: 'access_token expired' }, 1],
    ['the platform lets it wait', MASS, { errcode: 45033, errmsg: 'api concurrent out of limit' }, 1],
  ])('is not asked, or not again, when its time goes by while %s', async (_while, api, answer, asked) => {
    stub.on(MASS, CREATED)
    stub.on(api, goesBy(answer), CREATED)
    const err = await thrownBy(client.mass.create(message, { isLate: () => late }))
    expect(err).toMatchObject({ upstreamCode: 'too_late', retryable: true })
    expect(stub.calls).toHaveLength(asked)
  })

  it('is not asked when its time goes by while it waits its turn', async () => {
    stub.on(MASS, goesBy(CREATED))
    const ends = await Promise.allSettled(
      Array.from({ length: 50 }, () => client.mass.create(message, { isLate: () => late })),
    )
    const asked = ends.filter((end) => end.status === 'fulfilled').length
    expect(stub.calls).toHaveLength(asked)
    expect(client.stats()[MASS]?.codes).toEqual({ 0: asked, too_late: 50 - asked })
    expect(asked).toBeLessThan(50)
  })
})

describe('calls without an effect', () => {
  it.each<[string, StubAnswer]>([
    ['a busy platform', { errcode: -1, errmsg: 'system error' }],
    ['too many at a time', { errcode: 45033, errmsg: 'api concurrent out of limit' }],
    ['a broken connection', 'cut'],
    ['no answer in time', 'hang'],
    ['a proxy that answers HTML', '<html>502 Bad Gateway</html>'],
    ['a truncated answer', '{"errcode":0,"errmsg":"ok","follow_us'],
  ])('are repeated with growing pauses after %s', async (_what, answer) => {
    stub.on('externalcontact/get_follow_user_list', answer, answer, { follow_user: ['guide01'] })
    await expect(client.contacts.followUsers()).resolves.toEqual(['guide01'])
    expect(pauses).toEqual([500, 2000])
  })

  it('are given up after the third failure', async () => {
    stub.on('externalcontact/get_follow_user_list', 'cut')
    const err = await thrownBy(client.contacts.followUsers())
    expect(err).toBeInstanceOf(UpstreamError)
    expect(err).toMatchObject({ retryable: true })
    expect(stub.calls).toHaveLength(3)
  })

  it('wait a minute after 45009, and are not sent into the hour after a second one', async () => {
    stub.on('externalcontact/get_follow_user_list', { errcode: 45009, errmsg: 'api freq out of limit' })
    const err = await thrownBy(client.contacts.followUsers())
    expect(pauses).toEqual([60_000])
    expect(err).toMatchObject({ errcode: 45009, retryable: true, retryAfterMs: 3_600_000 })
    await thrownBy(client.contacts.followUsers())
    expect(stub.calls).toHaveLength(2)
  })

  it('are not repeated when refused for good', async () => {
    stub.on('externalcontact/get_follow_user_list', { errcode: 48002, errmsg: 'api forbidden' })
    expect(await thrownBy(client.contacts.followUsers())).toMatchObject({ meaning: 'tell_a_person', retryable: false })
    expect(stub.calls).toHaveLength(1)
    expect(lines.some((line) => line.includes('"level":"error"') && line.includes('48002'))).toBe(true)
  })

  it('name the field when an answer has another shape', async () => {
    stub.on('user/get', { name: '导购 001' })
    expect((await thrownBy(client.members.get('guide01'))).message).toContain('userid')
  })
})

describe('calls with an effect', () => {
  it.each<[string, StubAnswer]>([
    ['the connection breaks', 'cut'],
    ['no answer comes in time', 'hang'],
    ['a proxy answers HTML', '<html>502 Bad Gateway</html>'],
    ['a proxy answers JSON of its own', { ...CREATED, httpStatus: 502 }],
    ['the answer is truncated', '{"errcode":0,"errmsg":"ok","msg'],
    ['the answer lacks the message id', {}],
    ['fields may have been dropped', { ...CREATED, errmsg: 'ok. Warning: wrong json format. ' }],
  ])('are sent once and end unknown when %s', async (_what, answer) => {
    stub.on('externalcontact/add_msg_template', answer)
    expect(await thrownBy(client.mass.create(message))).toBeInstanceOf(UnknownOutcomeError)
    expect(stub.calls).toHaveLength(1)
  })

  it('are retryable, not unknown, when nothing listens', async () => {
    const url = stub.url
    stub.on('externalcontact/get_follow_user_list', { follow_user: [] })
    await client.contacts.followUsers() // holds a token, so that the message itself meets the closed port
    await stub.close()
    const err = await thrownBy(client.mass.create(message))
    expect(err).toMatchObject({ code: 'upstream_failed', retryable: true })
    stub = await openWecomStub()
    expect(stub.url).not.toBe(url)
  })

  it.each([45033, 45035, 6000])('are asked for again after %i, as they were certainly not applied', async (errcode) => {
    stub.on('externalcontact/add_msg_template', { errcode, errmsg: 'refused' }, CREATED)
    await expect(client.mass.create(message)).resolves.toMatchObject({ msgId: 'msg1' })
    expect(pauses).toEqual([500])
  })

  it('are given up when they are refused again and again', async () => {
    stub.on('externalcontact/add_msg_template', { errcode: 45033, errmsg: 'api concurrent out of limit' })
    expect(await thrownBy(client.mass.create(message))).toMatchObject({ meaning: 'slow_down', retryable: true })
    expect(stub.calls).toHaveLength(6)
  })

  it('are not repeated when the platform is busy, which does not say whether they were taken', async () => {
    stub.on('externalcontact/add_msg_template', { errcode: -1, errmsg: 'system busy' })
    expect(await thrownBy(client.mass.create(message))).toMatchObject({ errcode: -1, retryable: true })
    expect(stub.calls).toHaveLength(1)
  })

  it('are not even sent while their API is blocked', async () => {
    stub.on('externalcontact/add_msg_template', { errcode: 45009, errmsg: 'api freq out of limit' }, CREATED)
    await thrownBy(client.mass.create(message))
    expect(await thrownBy(client.mass.create(message))).toMatchObject({ errcode: 45009, retryAfterMs: 60_000 })
    expect(stub.calls).toHaveLength(1)
    clock.set(new Date(clock.now().getTime() + 60_000))
    await expect(client.mass.create(message)).resolves.toMatchObject({ msgId: 'msg1' })
  })
})

describe('writes that leave the same state however often they are applied', () => {
  const mark = () => client.tags.mark('guide01', 'wm1', { add: ['et1'] })

  it.each<[string, StubAnswer]>([
    ['the connection breaks', 'cut'],
    ['no answer comes in time', 'hang'],
    ['a proxy answers HTML', '<html>502 Bad Gateway</html>'],
    ['the platform is busy', { errcode: -1, errmsg: 'system busy' }],
  ])('are sent again when %s', async (_what, answer) => {
    stub.on('externalcontact/mark_tag', answer, {})
    await mark()
    expect(stub.calls).toHaveLength(2)
  })

  it('end unknown when every answer was lost', async () => {
    stub.on('externalcontact/mark_tag', 'cut')
    expect(await thrownBy(mark())).toBeInstanceOf(UnknownOutcomeError)
    expect(stub.calls).toHaveLength(3)
  })

  it('end unknown at once when fields may have been dropped: the same request would lose them again', async () => {
    stub.on('externalcontact/mark_tag', { errmsg: 'ok. Warning: wrong json format. ' })
    expect(await thrownBy(mark())).toBeInstanceOf(UnknownOutcomeError)
    expect(stub.calls).toHaveLength(1)
  })

  it('are refused with the reason of the last answer', async () => {
    stub.on('externalcontact/mark_tag', 'cut', { errcode: 84061, errmsg: 'not external contact' })
    expect(await thrownBy(mark())).toMatchObject({ errcode: 84061, meaning: 'give_up_recipient' })
  })
})

it('counts calls, codes and how many run at a time by API', async () => {
  stub.on('externalcontact/get_follow_user_list', { errcode: 45033, errmsg: 'api concurrent out of limit' }, 'cut', {})
  await client.contacts.followUsers()
  expect(client.stats()['externalcontact/get_follow_user_list']).toEqual({
    calls: 3,
    waits: 0,
    waitedMs: 0,
    codes: { 0: 1, 45033: 1, lost: 1 },
    tooOften: 0,
    tooParallel: 1,
    width: 3,
    blockedMs: 0,
  })
  expect(client.stats()['gettoken']).toMatchObject({ calls: 1 })
})

describe('secrets', () => {
  const TOKEN = 'token-that-nobody-may-see'
  const everything = (errors: readonly unknown[]) =>
    errors.map((err) => inspect(err, { depth: 10, showHidden: true })).join('\n') + lines.join('\n')
  const attempts = (of: WecomClient) => [
    () => of.contacts.followUsers(),
    () => of.tags.mark('guide01', 'wm1', { add: ['et1'] }),
    () => of.mass.create(message),
    () => of.welcome.send('welcome-code', 'hello'),
  ]
  const APIS = ['get_follow_user_list', 'mark_tag', 'add_msg_template', 'send_welcome_msg']
  const ECHO = `at /cgi-bin/x?access_token=${TOKEN}&corpsecret=${SECRET} from 203.0.113.9`

  it.each<[string, StubAnswer]>([
    ['a broken connection', 'cut'],
    ['no answer', 'hang'],
    ['HTML that repeats the address', `<html>502 ${ECHO}</html>`],
    ['truncated JSON', `{"errcode":0,"errmsg":"${ECHO}","follow_us`],
    ['a refusal that repeats the address', { errcode: 40058, errmsg: ECHO }],
    ['a refusal with a phone number', { errcode: 40003, errmsg: 'invalid userid 10000000001, from ip: 203.0.113.9' }],
    ['a token that is not taken', { errcode: 40014, errmsg: ECHO }],
    ['a used-up limit', { errcode: 45009, errmsg: ECHO }],
    ['too many at a time', { errcode: 45033, errmsg: ECHO }],
    ['a busy platform', { errcode: -1, errmsg: ECHO }],
    ['a setting to change', { errcode: 60020, errmsg: ECHO }],
    ['an unknown code', { errcode: 999999, errmsg: ECHO }],
    ['dropped fields', { errmsg: `ok. Warning: wrong json format. ${ECHO}` }],
    ['fields of another shape', { follow_user: ECHO, msgid: 7, fail_list: ECHO }],
    ['a redirect', { httpStatus: 302, errmsg: ECHO }],
  ])('stay out of errors, causes and logs after %s', async (what, answer) => {
    stub.token = TOKEN
    for (const api of APIS) stub.on(`externalcontact/${api}`, answer)
    const outcomes = await Promise.allSettled(attempts(client).map((attempt) => attempt()))
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    if (what !== 'fields of another shape') expect(errors).toHaveLength(APIS.length)
    for (const hidden of [TOKEN, SECRET, '203.0.113.9', '10000000001']) expect(everything(errors)).not.toContain(hidden)
  })

  it.each<[string, StubAnswer]>([
    ['a broken connection', 'cut'],
    ['HTML', `<html>${ECHO}</html>`],
    ['a wrong secret', { errcode: 40001, errmsg: ECHO }],
    ['a reply without a token', { expires_in: SECRET }],
  ])('stay out of them when fetching a token ends in %s', async (_what, answer) => {
    stub.on('gettoken', answer)
    const errors = await Promise.all(attempts(client).map((attempt) => thrownBy(attempt())))
    expect(everything(errors)).not.toContain(SECRET)
  })

  it('stay out of them when nothing listens, when the client closes, and when the way there throws', async () => {
    const nowhere = openClient('http://127.0.0.1:1')
    const errors = [await thrownBy(nowhere.contacts.followUsers())]
    nowhere.close()
    errors.push(await thrownBy(nowhere.contacts.followUsers()))
    const broken = openClient(stub.url, (config) => Promise.reject(new AxiosError('failed', 'EPIPE', config)))
    errors.push(await thrownBy(broken.contacts.followUsers()))
    broken.close()
    expect(errors.map((err) => (err as UpstreamError).upstreamCode)).toEqual(['ECONNREFUSED', 'closed', 'no_answer'])
    expect(everything(errors)).not.toContain(SECRET)
  })
})

describe('contacts', () => {
  const contact = (id: string) => ({ external_userid: id, name: `客户 ${id}`, type: 1, gender: 0 })
  const row = (id: string, userid: string, createtime: number) => ({
    external_contact: contact(id),
    follow_info: { userid, createtime, tag_id: ['et1'], state: '', add_way: 1, remark_mobiles: [] },
  })

  it('reads 84061 as no customers on the list and as nobody on the details', async () => {
    stub.on('externalcontact/list', { errcode: 84061, errmsg: 'not external contact', external_userid: [] })
    stub.on('externalcontact/get', { errcode: 84061, errmsg: 'not external contact', follow_user: [] })
    await expect(client.contacts.list('guide01')).resolves.toEqual([])
    await expect(client.contacts.get('wm1')).resolves.toBeUndefined()
  })

  it('joins followers over the pages of one contact', async () => {
    stub.on('externalcontact/get', ({ query }) => ({
      external_contact: contact('wm1'),
      follow_user: [{ userid: query['cursor'] === 'c1' ? 'guide02' : 'guide01', createtime: 1525779812 }],
      ...(query['cursor'] === undefined && { next_cursor: 'c1' }),
    }))
    const detail = await client.contacts.get('wm1')
    expect(detail?.follow_user.map(({ userid }) => userid)).toEqual(['guide01', 'guide02'])
  })

  it('follow the cursor over pages that may be empty, and members without customers are none', async () => {
    stub.on('externalcontact/batch/get_by_user', ({ body }) => {
      if (body['cursor'] === undefined)
        return { external_contact_list: [row('wm1', 'guide01', 200)], next_cursor: 'p2' }
      if (body['cursor'] === 'p2') return { external_contact_list: [], next_cursor: 'p3' }
      return { external_contact_list: [row('wm2', 'guide02', 400)], next_cursor: '' }
    })
    const all = []
    for await (const rows of client.contacts.rows(['guide01', 'guide02'])) all.push(...rows)
    expect(all.map((r) => [r.external_contact.external_userid, r.follow_info.userid])).toEqual([
      ['wm1', 'guide01'],
      ['wm2', 'guide02'],
    ])
    expect(stub.calls.map((call) => call.body['limit'])).toEqual([100, 100, 100])
    stub.on('externalcontact/batch/get_by_user', { errcode: 84061, errmsg: 'not external contact' })
    for await (const rows of client.contacts.rows(['guide03'])) expect(rows).toEqual([])
  })

  it('clears remark phones with one empty number', async () => {
    stub.on('externalcontact/remark', {})
    await client.contacts.remark('guide01', 'wm1', { mobiles: [] })
    expect(stub.calls[0]?.body).toEqual({ userid: 'guide01', external_userid: 'wm1', remark_mobiles: [''] })
  })
})

describe('messages', () => {
  it('sends an app message with duplicate check and splits the invalid members', async () => {
    stub.on('message/send', { msgid: 'm1', response_code: 'rc', invaliduser: 'guide02|guide03' })
    const sent = await client.messages.send({
      toUsers: ['guide01', 'guide02', 'guide03'],
      content: { msgtype: 'text', text: { content: '三位顾客待跟进' } },
      duplicateCheckSeconds: 1800,
    })
    expect(sent).toMatchObject({ msgId: 'm1', responseCode: 'rc', invalid: ['guide02', 'guide03'] })
    expect(stub.calls[0]?.body).toEqual({
      touser: 'guide01|guide02|guide03',
      agentid: 1000002,
      msgtype: 'text',
      text: { content: '三位顾客待跟进' },
      enable_duplicate_check: 1,
      duplicate_check_interval: 1800,
    })
  })

  it('cancels twice without complaint', async () => {
    stub.on('externalcontact/cancel_groupmsg_send', {}, { errcode: 41093, errmsg: 'group message canceled' })
    await client.mass.cancel('msg1')
    await client.mass.cancel('msg1')
    expect(stub.calls).toHaveLength(2)
  })

  it('uploads media as a form', async () => {
    stub.on('media/upload', { type: 'image', media_id: 'MEDIA', created_at: '1380000000' })
    await expect(client.media.upload('image', 'a.png', new Uint8Array([1, 2, 3, 4, 5, 6]))).resolves.toBe('MEDIA')
    expect(stub.calls[0]?.query).toMatchObject({ type: 'image' })
  })

  it('says welcome_msg 41051 is delivered already', async () => {
    stub.on('externalcontact/send_welcome_msg', { errcode: 41051, errmsg: 'welcome sent' })
    const err = await thrownBy(client.welcome.send('CODE', '欢迎'))
    expect(err).toBeInstanceOf(WecomError)
    expect(err).toMatchObject({ meaning: 'already_done' })
  })
})
