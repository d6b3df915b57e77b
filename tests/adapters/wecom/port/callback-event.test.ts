import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { readCallbackEvent } from '../../../../src/adapters/wecom/port/callback-event.js'
import { InvalidInputError } from '../../../../src/errors.js'

const callbacks = JSON.parse(
  readFileSync(new URL('../../../fixtures/wecom-callbacks.json', import.meta.url), 'utf8'),
) as Record<string, Record<string, unknown>>
const read = (name: string) => readCallbackEvent(callbacks[name]!)

describe('a callback', () => {
  const at = new Date('2014-06-24T11:48:33Z')
  const who = { externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA', userId: 'zhangsan' }

  it('of an added contact says who, with the welcome code', () => {
    expect(read('add')).toEqual({
      kind: 'contact',
      why: 'added',
      ...who,
      state: 'teststate',
      welcomeCode: 'WELCOMECODE',
      at,
    })
    const half = { ...callbacks['add'], ChangeType: 'add_half_external_contact' }
    expect(readCallbackEvent(half)).toMatchObject({ kind: 'contact', why: 'half_added' })
  })

  it('of an edited contact says who', () => {
    expect(read('edit')).toEqual({ kind: 'contact', why: 'edited', ...who, at })
  })

  it('of a deletion says who left', () => {
    expect(read('deletedByCustomer')).toEqual({ kind: 'contact_lost', by: 'customer', ...who, at })
    expect(read('deletedByMember')).toMatchObject({ by: 'transfer' })
    expect(readCallbackEvent({ ...callbacks['deletedByMember'], Source: undefined })).toMatchObject({ by: 'member' })
  })

  it('of a transfer that failed says why', () => {
    const failed = { ...callbacks['edit'], ChangeType: 'transfer_fail', FailReason: 'customer_refused' }
    expect(readCallbackEvent(failed)).toEqual({ kind: 'transfer_failed', reason: 'customer_refused', ...who, at })
  })

  it.each([
    [
      'change_external_chat',
      { ChangeType: 'update', ChatId: 'wr1' },
      { kind: 'group', change: 'update', chatId: 'wr1' },
    ],
    ['change_contact', { ChangeType: 'create_user', UserID: 'g1' }, { kind: 'member', change: 'create', userId: 'g1' }],
    [
      'change_contact',
      { ChangeType: 'update_user', UserID: 'g1', NewUserID: 'g2' },
      { kind: 'member', change: 'update', userId: 'g1', newUserId: 'g2' },
    ],
    ['change_contact', { ChangeType: 'delete_party', Id: '3' }, { kind: 'department' }],
    [
      'customer_acquisition',
      { ChangeType: 'customer_start_chat', UserID: 'g1', ExternalUserID: 'wm1' },
      { kind: 'acquisition', change: 'customer_start_chat', userId: 'g1', externalUserId: 'wm1' },
    ],
    [
      'customer_acquisition',
      { ChangeType: 'link_unavailable', LinkId: 'cawcde1' },
      { kind: 'acquisition', change: 'link_unavailable', linkId: 'cawcde1' },
    ],
    ['click', { FromUserName: 'g1', EventKey: 'today' }, { kind: 'menu', userId: 'g1', key: 'today' }],
  ])('of %s is read', (Event, fields, expected) => {
    const content = { CreateTime: '1403610513', MsgType: 'event', Event, ...fields }
    expect(readCallbackEvent(content)).toEqual({ ...expected, at })
  })

  it('of a tag', () => {
    expect(read('tag')).toEqual({ kind: 'tags', change: 'create', at })
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
