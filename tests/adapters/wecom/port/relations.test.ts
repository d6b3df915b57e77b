import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import type { z } from 'zod'
import { ContactDetail, ContactRow } from '../../../../src/adapters/wecom/calls/contacts.js'
import { relationOf, relationsOf } from '../../../../src/adapters/wecom/port/relations.js'
import { SourceRecord } from '../../../../src/domain/events/record.js'
import { contactRecord, relationHash } from '../../../../src/domain/wecom/relation.js'
import { parseInput } from '../../../../src/parse.js'

const NOW = new Date('2026-08-03T02:00:00Z')
const contact = JSON.parse(
  readFileSync(new URL('../../../fixtures/wecom-contact.json', import.meta.url), 'utf8'),
) as z.input<typeof ContactDetail>
const read = (detail: unknown) => relationsOf(parseInput(ContactDetail, detail))

describe('the details of a contact', () => {
  it('give a relation per follower, without what only she herself sees', () => {
    const [tommy, rocky] = read(contact)
    expect(tommy).toMatchObject({ userId: 'tommy', follow: { addWay: 3, state: '外联二维码1', tagIds: [] } })
    expect(rocky).toEqual({
      userId: 'rocky',
      externalUserId: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA',
      contact: {
        name: '客户 001',
        avatar: 'http://p.qlogo.cn/bizmail/IcsdgagqefergqerhewSdage/0',
        type: 1,
        gender: 1,
        unionId: 'ozynqsulJFCZ2z1aYeS8h-nuasdAAA',
      },
      follow: {
        addedAt: new Date('2018-05-08T11:43:32Z'),
        remark: '部长',
        description: '对接采购事务',
        mobiles: ['10000000001', ' 10000000002 ', '10000000001'],
        tagIds: ['etAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', 'stAJ2GCAAAXtWyujaWJHDDGi0mACHAAA'],
        addWay: 10,
        operUserId: 'rocky',
      },
    })
  })

  it('and a row of a batch give the same relation', () => {
    const { tags: _, ...follow } = contact.follow_user![1]!
    const row = parseInput(ContactRow, {
      external_contact: contact.external_contact,
      follow_info: { ...follow, tag_id: ['stAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', 'etAJ2GCAAAXtWyujaWJHDDGi0mACHAAA'] },
    })
    expect(relationOf(row)).toEqual(read(contact)[1])
    expect(relationHash(relationOf(row))).toBe(relationHash(read(contact)[1]!))
  })

  it('are refused with the field that is missing', () => {
    const broken = { ...contact, follow_user: [{ userid: 'guide01' }] }
    expect(() => read(broken)).toThrow(/follow_user\.0\.createtime/)
  })

  it('become one record', () => {
    const record = SourceRecord.parse(contactRecord(read(contact), NOW))
    expect(record.identifiers).toEqual([
      { type: 'external_userid', value: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA' },
      { type: 'unionid', value: 'ozynqsulJFCZ2z1aYeS8h-nuasdAAA' },
      { type: 'phone', value: '10000000001' },
      { type: 'phone', value: '10000000002' },
    ])
    expect(read({ ...contact, follow_user: [] })).toEqual([])
  })
})
