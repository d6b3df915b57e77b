import { describe, expect, it } from '@jest/globals'
import { sourceOf } from '../../src/cli/import-guess.js'

describe('the source of a file without a mapping', () => {
  it.each([
    [
      'orders',
      ['orders.csv', 'orders-2026-11.csv', 'orders_202612.csv.gz', '2026-11-30 Orders.CSV', 'orders2026年1月.csv'],
    ],
    ['shop-orders', ['Shop-Orders.csv', 'shop-orders-20261130.txt']],
    ['batch-77', ['batch-77.csv']],
  ])('is %s of every month', (source, files) => {
    for (const file of files) expect([file, sourceOf(file)]).toEqual([file, source])
  })

  it('is a mark of the name where that has no letters, the same every month', () => {
    expect(sourceOf('订单2026-11.csv')).toMatch(/^csv-/)
    expect(sourceOf('订单2026-11.csv')).toBe(sourceOf('2026年12月订单.csv'))
    expect(sourceOf('订单.csv')).not.toBe(sourceOf('会员.csv'))
    expect(sourceOf('siyu.csv')).toMatch(/^csv-/)
  })
})
