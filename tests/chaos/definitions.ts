import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'

/** A small brand whose every path out to WeCom is used within ten days: messages, reminders, cards, tags written back. */
const FILES: Readonly<Record<string, unknown>> = {
  'tags/all.yaml': {
    tags: [
      {
        id: 'was_written_to',
        name: '已触达',
        type: 'flag',
        category: 'behaviour',
        owner: 'crm',
        purpose: 'written back',
        writeback: '自动/已触达',
        when: { event: 'touch_delivered', within: '3d' },
      },
      {
        id: 'interest',
        name: '兴趣',
        type: 'choice',
        category: 'intent',
        owner: 'crm',
        purpose: 'written back',
        writeback: '兴趣',
        cases: [
          { value: 'keen', name: '高', when: { event: 'customer_interested', within: '5d' } },
          { value: 'told', name: '中', when: { event: 'touch_delivered', count: { gte: 2 } } },
        ],
      },
    ],
  },
  'journeys/hello.yaml': {
    id: 'hello',
    name: '问候',
    enter: { on: 'contact_added' },
    goal: { event: 'customer_interested', within: '7d' },
    steps: [
      { id: 'first', send: { channel: 'wecom', content: 'first' } },
      { wait: '36h' },
      { id: 'second', send: { channel: 'wecom', content: 'second' } },
      { id: 'call', task: { title: '回访', script: 'call', due: '2d' } },
    ],
  },
  'journeys/news.yaml': {
    id: 'news',
    name: '上新',
    enter: { every: '0 10 * * *', when: { event: 'contact_added' } },
    reenter: { after: '2d', max: 20 },
    goal: { event: 'customer_interested', within: '7d' },
    steps: [{ id: 'new', send: { channel: 'wecom', content: 'news' } }],
  },
  'content/all.yaml': {
    contents: [
      { id: 'first', text: '欢迎来到{{ brand }}', link: { title: '欢迎', path: '/hello' } },
      { id: 'second', text: '新品试用', link: { title: '试用', path: '/trial' } },
      { id: 'news', text: '今日上新', link: { title: '上新', path: '/new' } },
      { id: 'hi', text: '您好，很高兴认识您' },
      { id: 'call', text: '问问她用得怎么样' },
    ],
  },
  'identity.yaml': {
    identifiers: [
      { type: 'unionid', strength: 'strong', max: 1 },
      { type: 'external_userid', strength: 'strong', max: 3 },
    ],
  },
  'lifecycle.yaml': {
    stages: [
      { id: 'known', name: '相识', when: { event: 'touch_delivered' } },
      { id: 'new', name: '新客' },
    ],
  },
  'welcome.yaml': { rules: [{ id: 'all', content: 'hi' }] },
  'policy.yaml': {
    quietHours: { from: '21:00', to: '09:00' },
    caps: [{ max: 3, per: '1d' }],
    wecomQuota: { mode: 'month_days' },
    confirmWithin: '2d',
    remindAfter: ['4h', '1d'],
  },
  'segments.yaml': {
    segments: [{ id: 'known', name: '相识', purpose: 'test', when: { event: 'touch_delivered' } }],
  },
  'coupons.yaml': { pools: [{ id: 'gift', generate: { prefix: 'G', count: 10 } }] },
}

/** Writes the brand's files below `dir`; resolves to the `paths` of its configuration. */
export async function writeDefinitions(dir: string): Promise<Record<string, string>> {
  for (const [name, content] of Object.entries(FILES)) {
    const file = join(dir, name)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, stringify(content))
  }
  const at = (name: string) => join(dir, name)
  return {
    tags: at('tags'),
    identity: at('identity.yaml'),
    lifecycle: at('lifecycle.yaml'),
    policy: at('policy.yaml'),
    content: at('content'),
    events: join(process.cwd(), 'config/events.yaml'),
    segments: at('segments.yaml'),
    welcome: at('welcome.yaml'),
    wecom: at('wecom'),
    coupons: at('coupons.yaml'),
    journeys: at('journeys'),
  }
}
