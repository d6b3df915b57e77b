import { describe, expect, it } from '@jest/globals'
import { guessMapping, type GuessOptions } from '../../../connectors/csv/guess.js'
import { CsvMapping } from '../../../connectors/csv/mapping.js'

const options: GuessOptions = {
  ...{ source: 'shop', file: 'orders.csv', timeZone: 'Asia/Shanghai', currency: 'CNY' },
  identifierTypes: ['unionid', 'external_userid', 'member_id', 'phone', 'email'],
}
const guess = (header: string, ...rows: string[]) =>
  guessMapping(
    header.split(','),
    rows.map((row) => row.split(',')),
    options,
  )
function mappingOf(header: string, ...rows: string[]) {
  const found = guess(header, ...rows)
  if ('missing' in found) throw new Error(`missing ${found.missing}`)
  return { mapping: CsvMapping.parse(found.mapping), unused: found.unused }
}

describe('guessMapping', () => {
  it('knows the orders of a Chinese shop by what the file has', () => {
    const { mapping, unused } = mappingOf(
      '主订单编号,订单创建时间,支付时间,实付金额(元),手机号,会员ID,快递公司',
      'A1,2026/3/5 9:00,2026/3/5 9:07,199.00,13800000001,M1,SF',
      'A2,2026/3/5 10:00,2026/3/15 19:07,20,13800000002,M2,SF',
    )
    expect(mapping).toMatchObject({
      ...{ rows: 'orders', timestampFormat: 'yyyy/M/d H:mm', duplicateRows: 'drop', rowOrder: 'any' },
      columns: { invoice: '主订单编号', occurredAt: '支付时间', amount: '实付金额(元)' },
      identifiers: { member_id: '会员ID', phone: '手机号' },
    })
    expect(unused).toEqual(['订单创建时间', '快递公司'])
  })

  it('knows a column by most of its values: an import tells of the others', () => {
    const { mapping } = mappingOf(
      '订单号,下单时间,买家,实付,商品',
      'A1,2026-11-01 10:00:00,13800000001,99.5,护手霜',
      'A2,昨天,无,¥20,面膜',
      'A3,2026-11-03 10:00:00,13800000003,7,面膜',
    )
    expect(mapping).toMatchObject({
      timestampFormat: 'yyyy-MM-dd HH:mm:ss',
      columns: { occurredAt: '下单时间', amount: '实付', description: '商品' },
      identifiers: { phone: '买家' },
    })
  })

  it('knows lines of invoices, and leaves duplicates to the shop', () => {
    const { mapping } = mappingOf(
      'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country',
      '536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom',
    )
    expect(mapping).toMatchObject({
      ...{ rows: 'orders', timestampFormat: 'yyyy-MM-dd HH:mm:ss', duplicateRows: 'keep' },
      columns: { invoice: 'InvoiceNo', quantity: 'Quantity', unitPrice: 'UnitPrice', sku: 'StockCode' },
      identifiers: { member_id: 'CustomerID' },
    })
  })

  it('knows people, with a registration as an event where the time is that of it', () => {
    const { mapping } = mappingOf('ID,姓名,联系方式,城市,注册时间', '1,甲,13800000001,上海,2026-01-02T10:00:00+08:00')
    expect(mapping).toMatchObject({
      ...{ rows: 'people', timestampFormat: 'iso', event: 'registered' },
      columns: { recordId: 'ID', observedAt: '注册时间' },
      identifiers: { phone: '联系方式' },
      traits: { name: '姓名', city: '城市' },
    })
    expect(mappingOf('id,at,member', '1,2026-03-01 10:00:00,M1').mapping).toMatchObject({
      columns: { recordId: 'id', observedAt: 'at' },
      identifiers: { member_id: 'member' },
    })
    expect(mappingOf('会员号,生日', 'M1,1990-01-01').mapping).toMatchObject({ rows: 'people', columns: {} })
  })

  it.each([
    ['rows', '会员号'],
    ['who', '订单号,支付时间,金额', 'A1,2026-01-01 10:00:00,1'],
    ['time', '订单号,支付时间,金额,会员号', 'A1,yesterday,1,M1'],
    ['amount', '订单号,支付时间,会员号', 'A1,2026-01-01 10:00:00,M1'],
  ])('says that it cannot tell the %s', (missing, header, ...rows) => {
    expect(guess(header, ...rows)).toMatchObject({ missing })
  })

  it('offers no type of identifier that the brand does not know', () => {
    const found = guessMapping(['会员号', '手机'], [['M1', '13800000001']], { ...options, identifierTypes: ['phone'] })
    expect(found).toMatchObject({ mapping: { identifiers: { phone: '手机' } }, unused: ['会员号'] })
  })
})
