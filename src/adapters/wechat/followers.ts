import { z } from 'zod'
import type { WechatTransport } from './transport.js'

const Follower = z.looseObject({
  openid: z.string().min(1),
  /** 0: does not follow (any more); then little else is there. */
  subscribe: z.union([z.literal(0), z.literal(1)]),
  /** Only when the account is bound to an Open Platform account. */
  unionid: z.string().nullish(),
  /** Unix seconds. */
  subscribe_time: z.number().nullish(),
  remark: z.string().nullish(),
  tagid_list: z.array(z.int()).nullish(),
  subscribe_scene: z.string().nullish(),
  qr_scene_str: z.string().nullish(),
})
export type Follower = z.infer<typeof Follower>

/** The last page has neither `data` nor a next one. */
const FollowerIds = z.looseObject({
  total: z.int().nullish(),
  count: z.int(),
  data: z.looseObject({ openid: z.array(z.string()) }).nullish(),
  next_openid: z.string().nullish(),
})
const Tag = z.looseObject({ id: z.int(), name: z.string(), count: z.int().nullish() })
export type FollowerTag = z.infer<typeof Tag>
const Nothing = z.looseObject({})

const BATCH = 100
const TAG_BATCH = 50
const LANG = 'zh_CN'

/**
 * Followers of an official account, their UnionIDs and their tags.
 *
 * @see 用户管理, developers.weixin.qq.com/doc/offiaccount/User_Management/Getting_a_User_List.html (read 2026-08)
 */
export function followerCalls(transport: WechatTransport) {
  async function* openIdPages(api: string, ask: (next: string) => Page): AsyncIterable<string[]> {
    let next = ''
    for (;;) {
      const page = await transport.call({ api, ...ask(next), reply: FollowerIds, repeat: 'harmless' })
      const openIds = page.data?.openid ?? []
      if (openIds.length > 0) yield openIds
      if (page.count === 0 || !page.next_openid || page.next_openid === next) return
      next = page.next_openid
    }
  }
  type Page = { query: Record<string, string> } | { body: Record<string, unknown> }
  const act = (api: string, body: Record<string, unknown>, repeat: 'harmless' | 'effect' = 'harmless') =>
    transport.call({ api, body, reply: Nothing, repeat }).then(() => undefined)
  /** Half-done batches are harmless: a tag that is there already stays. */
  async function inBatches(api: string, tagId: number, openIds: readonly string[]): Promise<void> {
    for (let i = 0; i < openIds.length; i += TAG_BATCH) {
      await act(api, { openid_list: openIds.slice(i, i + TAG_BATCH), tagid: tagId })
    }
  }

  return {
    /** Openids in pages of at most 10,000; about 500 pages a day. */
    ids: (): AsyncIterable<string[]> => openIdPages('/cgi-bin/user/get', (next) => ({ query: { next_openid: next } })),
    get: (openId: string): Promise<Follower> =>
      transport.call({
        api: '/cgi-bin/user/info',
        query: { openid: openId, lang: LANG },
        reply: Follower,
        repeat: 'harmless',
      }),
    /** Any number of openids, 100 a call, in order. */
    async *getMany(openIds: readonly string[]): AsyncIterable<Follower[]> {
      for (let i = 0; i < openIds.length; i += BATCH) {
        const user_list = openIds.slice(i, i + BATCH).map((openid) => ({ openid, lang: LANG }))
        const reply = await transport.call({
          api: '/cgi-bin/user/info/batchget',
          body: { user_list },
          reply: z.looseObject({ user_info_list: z.array(Follower) }),
          repeat: 'harmless',
        })
        yield reply.user_info_list
      }
    },

    tags: {
      async list(): Promise<FollowerTag[]> {
        const reply = z.looseObject({ tags: z.array(Tag) })
        return (await transport.call({ api: '/cgi-bin/tags/get', reply, repeat: 'harmless' })).tags
      },
      /** @param name - at most 30 characters; at most 100 tags */
      async create(name: string): Promise<number> {
        const reply = z.looseObject({ tag: Tag })
        const body = { tag: { name } }
        return (await transport.call({ api: '/cgi-bin/tags/create', body, reply, repeat: 'effect' })).tag.id
      },
      rename: (id: number, name: string) => act('/cgi-bin/tags/update', { tag: { id, name } }),
      delete: (id: number) => act('/cgi-bin/tags/delete', { tag: { id } }, 'effect'),
      followers: (tagid: number): AsyncIterable<string[]> =>
        openIdPages('/cgi-bin/user/tag/get', (next_openid) => ({ body: { tagid, next_openid } })),
      /** Any number of openids. At most 20 tags a follower. */
      mark: (tagId: number, openIds: readonly string[]) =>
        inBatches('/cgi-bin/tags/members/batchtagging', tagId, openIds),
      unmark: (tagId: number, openIds: readonly string[]) =>
        inBatches('/cgi-bin/tags/members/batchuntagging', tagId, openIds),
      async of(openId: string): Promise<number[]> {
        const reply = z.looseObject({ tagid_list: z.array(z.int()) })
        const body = { openid: openId }
        return (await transport.call({ api: '/cgi-bin/tags/getidlist', body, reply, repeat: 'harmless' })).tagid_list
      },
    },
  }
}
