import { z } from 'zod'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { Refusal } from '../core/endpoint.js'
import { meetPeople, type Person, readPerson } from './people.js'
import { type Call, OFFICIAL_ACCOUNT, OK, parse, type Reply, type Routes, text } from './route.js'

const PAGE = 10_000
const MAX_TAGS = 100
const MAX_TAGS_OF_ONE = 20
const RESERVED_TAGS = new Set([0, 1, 2])

const OpenId = z.looseObject({ openid: z.string().min(1) })
const TagBody = z.looseObject({ tag: z.looseObject({ id: z.int().optional(), name: z.string().min(1).optional() }) })
const TagMembers = z.looseObject({ openid_list: z.array(z.string()).min(1), tagid: z.int() })

/** Who follows the official account, and their tags. */
export function followerRoutes(world: World): Routes {
  return {
    '/cgi-bin/user/get': {
      ...OFFICIAL_ACCOUNT,
      limit: { calls: 500, windowMs: DAY_MS, errcode: 45009 },
      handle: (call) => listFollowers(world, call),
    },
    '/cgi-bin/user/info': {
      ...OFFICIAL_ACCOUNT,
      handle: ({ params, appId, now }) => userInfo(world, readPerson(world, parse(OpenId, params).openid, appId, now)),
    },
    '/cgi-bin/user/info/batchget': { ...OFFICIAL_ACCOUNT, handle: (call) => batchgetUserInfo(world, call) },

    '/cgi-bin/tags/create': { ...OFFICIAL_ACCOUNT, handle: (call) => createTag(world, call) },
    '/cgi-bin/tags/get': { ...OFFICIAL_ACCOUNT, handle: () => listTags(world) },
    '/cgi-bin/tags/update': { ...OFFICIAL_ACCOUNT, handle: (call) => updateTag(world, call) },
    '/cgi-bin/tags/delete': { ...OFFICIAL_ACCOUNT, handle: (call) => deleteTag(world, call) },
    '/cgi-bin/user/tag/get': { ...OFFICIAL_ACCOUNT, handle: (call) => listTagged(world, call) },
    '/cgi-bin/tags/members/batchtagging': { ...OFFICIAL_ACCOUNT, handle: (call) => batchtagging(world, call) },
    '/cgi-bin/tags/members/batchuntagging': { ...OFFICIAL_ACCOUNT, handle: (call) => batchuntagging(world, call) },
    '/cgi-bin/tags/getidlist': {
      ...OFFICIAL_ACCOUNT,
      handle: ({ params, appId, now }) => ({
        tagid_list: tagsOf(world, readPerson(world, parse(OpenId, params).openid, appId, now).openid),
      }),
    },
  }
}

function listFollowers(world: World, { params, appId, now }: Call): Reply {
  meetPeople(world, now)
  const { total } = world.state.get<{ total: number }>(
    'SELECT count(*) AS total FROM weixin_user WHERE appid = ? AND subscribed = 1',
    appId,
  )!
  const openids = world.state
    .all<{ openid: string }>(
      'SELECT openid FROM weixin_user WHERE appid = ? AND subscribed = 1 AND openid > ? ORDER BY openid LIMIT ?',
      appId,
      text(params['next_openid']),
      PAGE,
    )
    .map((row) => row.openid)
  return { total, ...pageOf(openids) }
}

function batchgetUserInfo(world: World, { params, appId, now }: Call): Reply {
  const { user_list: users } = parse(z.looseObject({ user_list: z.array(OpenId).min(1) }), params)
  if (users.length > 100) throw new Refusal(40032, 'invalid openid list size')
  return { user_info_list: users.map(({ openid }) => userInfo(world, readPerson(world, openid, appId, now))) }
}

function createTag(world: World, { params }: Call): Reply {
  const name = tagName(world, params)
  if (world.state.get<{ n: number }>('SELECT count(*) AS n FROM weixin_tag')!.n >= MAX_TAGS) {
    throw new Refusal(45056, 'too many tag now, can not add new')
  }
  const id = Math.max(99, world.state.get<{ id: number | null }>('SELECT max(id) AS id FROM weixin_tag')!.id ?? 0) + 1
  world.state.run('INSERT INTO weixin_tag VALUES (?, ?)', id, name)
  return { tag: { id, name } }
}

function listTags({ state }: World): Reply {
  return {
    tags: state.all(
      `SELECT id, name, (SELECT count(*) FROM weixin_user_tag WHERE tag_id = id) AS count FROM weixin_tag ORDER BY id`,
    ),
  }
}

function updateTag(world: World, { params }: Call): Reply {
  const id = knownTag(world, parse(TagBody, params).tag.id)
  world.state.run('UPDATE weixin_tag SET name = ? WHERE id = ?', tagName(world, params, id), id)
  return OK
}

function deleteTag(world: World, { params }: Call): Reply {
  const id = knownTag(world, parse(TagBody, params).tag.id)
  world.state.run('DELETE FROM weixin_user_tag WHERE tag_id = ?', id)
  world.state.run('DELETE FROM weixin_tag WHERE id = ?', id)
  return OK
}

function listTagged(world: World, { params }: Call): Reply {
  const body = parse(z.looseObject({ tagid: z.int(), next_openid: z.string().default('') }), params)
  const rows = world.state.all<{ openid: string }>(
    'SELECT openid FROM weixin_user_tag WHERE tag_id = ? AND openid > ? ORDER BY openid LIMIT ?',
    knownTag(world, body.tagid),
    body.next_openid,
    PAGE,
  )
  return pageOf(rows.map((row) => row.openid))
}

function batchtagging(world: World, { params, appId, now }: Call): Reply {
  const { id, openids } = tagMembers(world, params, appId, now)
  for (const openid of openids) {
    world.state.run('INSERT OR IGNORE INTO weixin_user_tag VALUES (?, ?)', id, openid)
    if (tagsOf(world, openid).length > MAX_TAGS_OF_ONE) throw new Refusal(45059, 'has too many tags')
  }
  return OK
}

function batchuntagging(world: World, { params, appId, now }: Call): Reply {
  const { id, openids } = tagMembers(world, params, appId, now)
  for (const openid of openids)
    world.state.run('DELETE FROM weixin_user_tag WHERE tag_id = ? AND openid = ?', id, openid)
  return OK
}

function userInfo(world: World, { openid, subscribed, unionid, subscribe_ms: since }: Person): Reply {
  if (subscribed === 0) return { subscribe: 0, openid, unionid }
  return {
    subscribe: 1,
    openid,
    language: 'zh_CN',
    subscribe_time: Math.floor(since / SECOND_MS),
    unionid,
    remark: '',
    groupid: 0,
    tagid_list: tagsOf(world, openid),
    subscribe_scene: 'ADD_SCENE_QR_CODE',
    qr_scene: 0,
    qr_scene_str: '',
  }
}

function tagsOf({ state }: World, openid: string): number[] {
  return state
    .all<{ tag_id: number }>('SELECT tag_id FROM weixin_user_tag WHERE openid = ? ORDER BY tag_id', openid)
    .map((row) => row.tag_id)
}

function tagName({ state }: World, params: Record<string, unknown>, ownId?: number): string {
  const { name } = parse(TagBody, params).tag
  if (name === undefined) throw new Refusal(45157, 'invalid tag name')
  if ([...name].length > 30) throw new Refusal(45158, 'tag name too long')
  const taken = state.get<{ id: number }>('SELECT id FROM weixin_tag WHERE name = ?', name)
  if (taken !== undefined && taken.id !== ownId) throw new Refusal(45157, 'invalid tag name')
  return name
}

function knownTag({ state }: World, id: number | undefined): number {
  if (id !== undefined && RESERVED_TAGS.has(id)) throw new Refusal(45058, "can't modify sys tag")
  if (id === undefined || state.get('SELECT 1 FROM weixin_tag WHERE id = ?', id) === undefined) {
    throw new Refusal(45159, 'invalid tag id')
  }
  return id
}

function tagMembers(
  world: World,
  params: Record<string, unknown>,
  appId: string,
  now: Date,
): { id: number; openids: string[] } {
  const { openid_list: openids, tagid } = parse(TagMembers, params)
  if (openids.length > 50) throw new Refusal(40032, 'invalid openid list size')
  return { id: knownTag(world, tagid), openids: openids.map((openid) => readPerson(world, openid, appId, now).openid) }
}

function pageOf(openids: readonly string[]): Reply {
  return {
    count: openids.length,
    ...(openids.length > 0 && { data: { openid: openids } }),
    next_openid: openids.at(-1) ?? '',
  }
}
