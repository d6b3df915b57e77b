import { describe, expect, it } from '@jest/globals'
import { checkPlaceholders } from '../../src/app/check-placeholders.js'
import { ServiceConfig } from '../../src/config.js'
import { parseInput } from '../../src/parse.js'

const wecom = { corpId: 'ww1', agentId: 1, secret: 's' }
const check = (more: object) =>
  checkPlaceholders(parseInput(ServiceConfig, { brand: { name: '品牌' }, ...more }), 'service.yaml')

describe('addresses of the examples', () => {
  it.each([
    'https://m.example.com',
    'https://example.org/t',
    'http://shop.example',
    'https://a.test',
    'https://your.host/x',
    'https://M.Example.COM',
  ])('%s is refused where customers could be sent it, and warned of elsewhere', (linkBase) => {
    expect(check({ linkBase, wecom }).problems).toMatchObject([{ path: 'linkBase', file: 'service.yaml' }])
    expect(check({ linkBase })).toMatchObject({ problems: [], warnings: [{ path: 'linkBase' }] })
  })

  it.each(['https://m.myexample.com', 'https://example.com.cn', 'http://127.0.0.1:8080', 'https://testing.shop'])(
    '%s is none',
    (linkBase) => {
      expect(check({ linkBase, wecom })).toEqual({ problems: [], warnings: [] })
    },
  )

  it.each([{}, { linkBase: '' }])('are nowhere for a brand without a site: %j', (settings) => {
    expect(check({ ...settings, wecom })).toEqual({ problems: [], warnings: [] })
    expect(parseInput(ServiceConfig, { brand: { name: '品牌' }, ...settings }).linkBase).toBeUndefined()
  })

  it('are found where guides and callbacks are to come, too', () => {
    const sidebar = { url: 'https://siyu.example.com' }
    const callback = { token: 'abc', encodingAesKey: 'a'.repeat(43), url: 'https://your.host/wecom/callback' }
    const { problems } = check({ linkBase: 'https://m.shop.cn', wecom: { ...wecom, sidebar, callback } })
    expect(problems.map((p) => p.path)).toEqual(['wecom.callback.url', 'wecom.sidebar.url'])
  })
})
