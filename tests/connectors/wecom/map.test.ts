import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { wecom } from '../../../connectors/wecom/index.js'
import {
  contactToRecord,
  deletionToRecord,
  readCallbackEvent,
  type ContactDetail,
} from '../../../connectors/wecom/map.js'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { InvalidInputError } from '../../../src/errors.js'

const NOW = new Date('2026-08-03T02:00:00Z')
const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../connectors/wecom/fixtures/${name}.json`, import.meta.url), 'utf8'))
const contact = fixture('contact') as ContactDetail
const callbacks = fixture('callbacks') as Record<string, Record<string, unknown>>
const read = (name: string) => readCallbackEvent(callbacks[name]!)

describe('a contact becomes one record', () => {
  const record = SourceRecord.parse(contactToRecord(contact, NOW))

  it('with every identifier once', () => {
    expect(record.identifiers).toEqual([
      { type: 'external_userid', value: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA' },
      { type: 'unionid', value: 'ozynqsulJFCZ2z1aYeS8h-nuasdAAA' },
      { type: 'phone', value: '10000000001' },
      { type: 'phone', value: '10000000002' },
    ])
  })

  it('with the longest follower as owner and corp tags only', () => {
    expect(record).toMatchObject({ source: 'wecom', ref: 'wecom:woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', observedAt: NOW })
    expect(record.traits).toEqual({
      name: '客户 001',
      gender: 'male',
      avatar: 'http://p.qlogo.cn/bizmail/IcsdgagqefergqerhewSdage/0',
      wecom_owner: 'rocky',
      wecom_followers: 'rocky,tommy',
      wecom_tags: '等级/重要',
    })
  })

  it('with one event per follower, known by the time of the relation', () => {
    expect(record.events).toEqual([
      {
        id: 'wecom:add:woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA:rocky:1525779812',
        name: 'contact_added',
        occurredAt: new Date('2018-05-08T11:43:32Z'),
        properties: { userId: 'rocky', externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', addWay: 10 },
      },
      {
        id: 'wecom:add:woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA:tommy:1525881637',
        name: 'contact_added',
        occurredAt: new Date('2018-05-09T16:00:37Z'),
        properties: {
          userId: 'tommy',
          externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA',
          addWay: 3,
          state: '外联二维码1',
        },
      },
    ])
  })

  it('in whatever order the followers come', () => {
    const reversed = { ...contact, follow_user: [...contact.follow_user].reverse() }
    expect(contactToRecord(reversed, NOW)).toEqual(contactToRecord(contact, NOW))
  })

  it('from batches too, with tag names where they are known, and the same events', () => {
    const batch: ContactDetail = {
      external_contact: { external_userid: 'wm1', unionid: '', gender: 0 },
      follow_user: [
        { userid: 'guide01', createtime: 1525779812, tag_id: ['et2', 'et1', 'et2'], state: '', remark_mobiles: [''] },
      ],
    }
    const small = contactToRecord(batch, NOW, new Map([['et1', '重要']]))
    expect(small.identifiers).toEqual([{ type: 'external_userid', value: 'wm1' }])
    expect(small.traits).toEqual({ wecom_owner: 'guide01', wecom_followers: 'guide01', wecom_tags: 'et2,重要' })
    expect(small.events?.[0]?.properties).toEqual({ userId: 'guide01', externalUserId: 'wm1' })
  })

  it('that takes back owner, followers and tags when nobody follows any more', () => {
    const { traits, events } = contactToRecord({ external_contact: { external_userid: 'wm1' }, follow_user: [] }, NOW)
    expect(traits).toEqual({ wecom_owner: null, wecom_followers: null, wecom_tags: null })
    expect(events).toEqual([])
  })

  it('through the connector as well', () => {
    expect(wecom.toRecords(wecom.payload.parse(contact), NOW)).toEqual([contactToRecord(contact, NOW)])
  })

  it('or is refused with the field that is missing', () => {
    const broken = { ...contact, follow_user: [{ userid: 'guide01' }] } as unknown as ContactDetail
    expect(() => contactToRecord(broken, NOW)).toThrow(/follow_user\.0\.createtime/)
  })
})

describe('a callback', () => {
  const at = new Date('2014-06-24T11:48:33Z')
  const who = { externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA', userId: 'zhangsan' }

  it('of an added contact asks for a fetch, with the welcome code', () => {
    expect(read('add')).toEqual({
      kind: 'fetch_contact',
      why: 'added',
      ...who,
      state: 'teststate',
      welcomeCode: 'WELCOMECODE',
      at,
    })
    const half = { ...callbacks['add'], ChangeType: 'add_half_external_contact' }
    expect(readCallbackEvent(half)).toMatchObject({ kind: 'fetch_contact', why: 'half_added' })
  })

  it('of an edited contact asks for a fetch', () => {
    expect(read('edit')).toEqual({ kind: 'fetch_contact', why: 'edited', ...who, at })
  })

  it('of a deletion says who left', () => {
    expect(read('deletedByCustomer')).toEqual({ kind: 'contact_deleted', by: 'customer', ...who, at })
    expect(read('deletedByMember')).toMatchObject({ by: 'transfer' })
    expect(readCallbackEvent({ ...callbacks['deletedByMember'], Source: undefined })).toMatchObject({ by: 'member' })
  })

  it('of a deletion becomes one event, however often it comes', () => {
    const event = read('deletedByCustomer')
    if (event.kind !== 'contact_deleted') throw new Error('the fixture is no deletion')
    const record = SourceRecord.parse(deletionToRecord(event, NOW))
    expect(record.events).toEqual([
      {
        id: 'wecom:del:woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA:zhangsan:customer:1403610513',
        name: 'contact_deleted',
        occurredAt: at,
        properties: { userId: 'zhangsan', externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA', by: 'customer' },
      },
    ])
  })

  it('of a tag asks for the tags', () => {
    expect(read('tag')).toEqual({ kind: 'fetch_tags', why: 'create', id: 'TAG_ID', at })
  })

  it('of a card says who pressed what, in either spelling', () => {
    expect(read('card')).toEqual({
      kind: 'card',
      taskId: 'taskid111',
      key: 'key111',
      userId: 'FromUser',
      responseCode: 'ResponseCode',
      selected: { QuestionKey1: ['OptionId1', 'OptionId2'], QuestionKey2: ['OptionId3'] },
      at: new Date('1973-11-29T21:33:09Z'),
    })
    const { SelectedItems: _, ...plain } = callbacks['card']!
    expect(readCallbackEvent(plain)).toMatchObject({ kind: 'card', selected: {} })
  })

  it('we do not act on is named, not refused', () => {
    expect(read('view')).toEqual({ kind: 'other', name: 'view', at: new Date('1973-11-29T21:33:09Z') })
    expect(readCallbackEvent({ CreateTime: '1403610513', MsgType: 'text', Content: 'hello' })).toMatchObject({
      name: 'text',
    })
    const unheardOf = { ...callbacks['add'], ChangeType: 'beamed_up' }
    expect(readCallbackEvent(unheardOf)).toMatchObject({ kind: 'other', name: 'change_external_contact/beamed_up' })
  })

  it('that lacks what it must have is refused with the field', () => {
    expect(() => readCallbackEvent({ ...callbacks['add'], ExternalUserID: undefined })).toThrow(InvalidInputError)
    expect(() => readCallbackEvent({ ...callbacks['add'], ExternalUserID: undefined })).toThrow(/ExternalUserID/)
    expect(() => readCallbackEvent({ CreateTime: 'yesterday', MsgType: 'event' })).toThrow(/CreateTime/)
  })
})
